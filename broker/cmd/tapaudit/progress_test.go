//go:build unix

package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/creack/pty"
)

// Whoever watches sees a bar; a pipe or a file gets none (the scripts in testdata hold that).
func TestBarIsDrawnOnATerminal(t *testing.T) {
	terminal, tty, err := pty.Open()
	if err != nil {
		t.Skip("needs: a pseudo-terminal")
	}
	var seen, out bytes.Buffer
	var reader sync.WaitGroup
	reader.Go(func() { _, _ = io.Copy(&seen, terminal) }) // ends with an error when the other end is closed
	code := run(context.Background(), []string{"verify", filepath.Join(vectors, "good")}, &out, tty)
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
	reader.Wait()
	if err := terminal.Close(); err != nil {
		t.Fatal(err)
	}
	if code != exitGood || !strings.Contains(seen.String(), "verifying") {
		t.Errorf("status %d, the terminal shows %q", code, seen.String())
	}
	if strings.Contains(out.String(), "verifying") {
		t.Errorf("the bar is in the output: %q", out.String())
	}
}
