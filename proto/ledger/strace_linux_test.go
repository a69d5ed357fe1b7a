package ledger_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"tapline/proto/ledger"
)

// TestRealFaults makes the real kernel's answers fail. The counts of strace are per thread, so the child may meet more than one fault.
func TestRealFaults(t *testing.T) {
	strace := needStrace(t)
	tests := []struct {
		name, call, inject string
		failures           bool
	}{
		{"one flush fails with EIO", "fdatasync", "error=EIO:when=20", true},
		{"every flush from the 20th on fails with EIO", "fdatasync", "error=EIO:when=20+", true},
		{"one write fails with EIO", "pwrite64", "error=EIO:when=60", true},
		{"one write fails with ENOSPC", "pwrite64", "error=ENOSPC:when=60", true},
		{"killed in a flush", "fdatasync", "signal=SIGKILL:when=30", false},
		{"killed in a write", "pwrite64", "signal=SIGKILL:when=70", false},
		{"killed while naming a segment", "renameat", "signal=SIGKILL:when=2", false},
		{"killed while cutting a segment", "ftruncate", "signal=SIGKILL:when=1", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			home := filepath.Join(t.TempDir(), "journal")
			cmd, out := startChild(t, home, strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace="+test.call, "-e", "inject="+test.call+":"+test.inject)
			c := childTale{acked: map[ledger.Index]string{}}
			c.listen(out, func(acks int) {
				if acks > 2000 {
					cmd.Process.Signal(os.Interrupt) // strace ends and takes the child with it
				}
			})
			cmd.Wait()
			if len(c.wrong) > 0 {
				t.Errorf("the child said %q", c.wrong)
			}
			if test.failures && c.failures == 0 {
				t.Error("no fault was reported")
			}
			holdsAll(t, home, c.acked)
			t.Logf("%d entries acknowledged, %d faults reported", len(c.acked), c.failures)
		})
	}
}

// TestSyscalls holds the promise of one write and one flush for each append, and none that moves metadata.
func TestSyscalls(t *testing.T) {
	strace := needStrace(t)
	home, trace := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "trace")
	cmd, out := startChild(t, home, strace, "-f", "-qq", "-o", trace, "-e", "trace=pwrite64,fdatasync,fsync,ftruncate,fallocate,renameat",
		"-e", "inject=fdatasync:signal=SIGKILL:when=51")
	c := childTale{acked: map[ledger.Index]string{}}
	c.listen(out, func(int) {})
	cmd.Wait()
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^\d+ +(\w+)\(.*= \d+`).FindAllSubmatch(b, -1) {
		got[string(m[1])]++
	}
	acks := len(c.acked) / 2
	// Beside the appends: reserve and first segment, each set aside, filled, the segment's header written, flushed, named, directory flushed.
	want := map[string]int{"pwrite64": acks + 3, "fdatasync": acks, "fsync": 5, "fallocate": 2, "renameat": 2}
	for call, n := range want {
		if d := got[call] - n; d < 0 || d > 1 {
			t.Errorf("%d calls of %s for %d appends, want %d", got[call], call, acks, n)
		}
	}
	if t.Failed() {
		t.Log(fmt.Sprint(got))
	}
}

func needStrace(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs: strace")
	}
	if err := exec.Command(path, "-qq", "-o", os.DevNull, "true").Run(); err != nil {
		t.Skip("needs: the right to trace processes")
	}
	return path
}
