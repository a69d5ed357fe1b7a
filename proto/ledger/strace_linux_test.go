package ledger_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapline/proto/ledger"
)

// TestRealFaults makes the real kernel's answers fail. The counts of strace are per thread, so the child may meet more than one fault.
func TestRealFaults(t *testing.T) {
	strace := needStrace(t)
	tests := []struct {
		name     string
		inject   []string
		failures bool
	}{
		{"one flush fails with EIO", []string{"fdatasync:error=EIO:when=20"}, true},
		{"every flush from the 20th on fails with EIO", []string{"fdatasync:error=EIO:when=20+"}, true},
		{"one write fails with EIO", []string{"pwrite64:error=EIO:when=60"}, true},
		{"one write fails with ENOSPC", []string{"pwrite64:error=ENOSPC:when=60"}, true},
		{"killed in a flush", []string{"fdatasync:signal=SIGKILL:when=30"}, false},
		{"killed in a write", []string{"pwrite64:signal=SIGKILL:when=70"}, false},
		{"killed while naming the first segment", []string{"renameat:signal=SIGKILL:when=2"}, false},
		{"a flush fails, killed while cutting the segment", []string{"fdatasync:error=EIO:when=20", "ftruncate:signal=SIGKILL:when=1"}, false},
		{"a flush fails, then cutting does too", []string{"fdatasync:error=EIO:when=20", "ftruncate:error=EIO"}, true},
		{"a flush fails, killed while naming the new segment", []string{"fdatasync:error=EIO:when=20", "renameat:signal=SIGKILL:when=3"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			home := filepath.Join(t.TempDir(), "journal")
			args := []string{strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace=fdatasync,pwrite64,renameat,ftruncate"}
			for _, fault := range test.inject {
				args = append(args, "-e", "inject="+fault)
			}
			cmd, out := startChild(t, home, args...)
			c := childTale{acked: map[ledger.Index]string{}}
			c.listen(out, func(int) {})
			cmd.Wait() // killed in some rows, so it may be an error
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

// TestSyscalls holds the promise of one write and one flush of data for each append.
func TestSyscalls(t *testing.T) {
	strace := needStrace(t)
	home, counts := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "counts")
	t.Setenv(childDir+"_50", home)
	cmd, out := startChild(t, "", strace, "-f", "-c", "-o", counts, "-e", "trace=pwrite64,fdatasync,fsync,ftruncate,fallocate,renameat")
	c := childTale{acked: map[ledger.Index]string{}}
	c.listen(out, func(int) {})
	if err := cmd.Wait(); err != nil || !c.ended || len(c.acked) != 100 {
		t.Fatalf("child acknowledged %d entries, ended %t, %v; it said %q", len(c.acked), c.ended, err, c.wrong)
	}
	b, err := os.ReadFile(counts)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^ +[\d.]+ +[\d.]+ +\d+ +(\d+) +(\w+)$`).FindAllStringSubmatch(string(b), -1) {
		if m[2] != "total" {
			got[m[2]] = m[1]
		}
	}
	// Beside the 50 appends: the reserve and one segment, both set aside, filled with zeros, flushed, named, the directory flushed, and
	// the segment's header; and the directory's parent.
	want := map[string]string{"pwrite64": "53", "fdatasync": "50", "fsync": "5", "fallocate": "2", "renameat": "2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("system calls (-want +got):\n%s", diff)
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
