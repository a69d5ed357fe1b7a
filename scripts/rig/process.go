//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Process is one program that the rig runs. Its output goes to a log file, to which every run of it appends.
type Process struct {
	name string
	log  string
	argv []string
	env  []string

	mu   sync.Mutex // guards what follows
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
	end  error         // how it ended; read after done

	waits sync.WaitGroup
}

// stopLimit is how long a program may take to end after it was asked to.
const stopLimit = 20 * time.Second

func newProcess(name, logs string, env []string, argv ...string) *Process {
	return &Process{name: name, log: filepath.Join(logs, name+".log"), argv: argv, env: env}
}

// Log is the path of the program's log.
func (p *Process) Log() string { return p.log }

// Start runs the program. A program that runs already is an error.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return fmt.Errorf("start %s: it runs already", p.name)
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	defer out.Close()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	p.waits.Go(func() {
		err := cmd.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.end = err
		close(done)
	})
	return nil
}

// running reports whether the last run goes on; the caller holds mu.
func (p *Process) running() bool {
	if p.done == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Done is closed when the present run has ended.
func (p *Process) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// PID is the process ID of the present run; 0 for none.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return 0
	}
	return p.cmd.Process.Pid
}

// Kill ends the program without warning, as kill -9 does, and waits until it is gone.
func (p *Process) Kill() error { return p.signal(syscall.SIGKILL) }

// Stop asks the program to end and waits until it has; a program that does not end in time is killed, which is an error.
func (p *Process) Stop() error { return p.signal(syscall.SIGTERM) }

func (p *Process) signal(s syscall.Signal) error {
	p.mu.Lock()
	if !p.running() {
		p.mu.Unlock()
		return nil
	}
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", p.name, err)
	}
	late := time.NewTimer(stopLimit)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		_ = cmd.Process.Kill()
		<-done
		return fmt.Errorf("end %s: it ignored %s for %s (see %s)", p.name, s, stopLimit, p.log)
	}
	if s == syscall.SIGTERM && p.end != nil {
		return fmt.Errorf("end %s: %w (see %s)", p.name, p.end, p.log)
	}
	return nil
}

// await polls ready until it succeeds, the program ends, or ctx does.
func (p *Process) await(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	done := p.Done()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-done:
			return fmt.Errorf("%s ended while starting; its log %s ends with:\n%s", p.name, p.log, tail(p.log))
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w (see %s)", p.name, err, p.log)
		case <-tick.C:
		}
	}
}

// tailSize is how much of a log an error shows.
const tailSize = 2000

func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-tailSize):])
}
