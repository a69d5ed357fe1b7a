//go:build linux

package vpcd

import (
	"os/exec"
	"sync"
)

// watcher owns the goroutine that reaps the process, so that it never stays a zombie and its end can be waited for.
type watcher struct{ group sync.WaitGroup }

// over returns a channel that is closed when cmd has ended.
func (w *watcher) over(cmd *exec.Cmd) chan struct{} {
	ended := make(chan struct{})
	w.group.Go(func() {
		defer close(ended)
		_ = cmd.Wait() // ended by a signal of ours, or found dead by the next call
	})
	return ended
}

func (w *watcher) wait() { w.group.Wait() }
