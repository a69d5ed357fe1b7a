package ledgertest_test

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"

	"tapline/proto/ledger/ledgertest"
)

// TestPowerCut: the disk must be as unkind as a real one, or tests on it prove nothing.
func TestPowerCut(t *testing.T) {
	tests := []struct {
		name string
		do   func(t *testing.T, d *ledgertest.Disk)
		keep float64
		want string // of the file "/a/b", "gone" if there is none
	}{
		{"what was flushed stays", func(t *testing.T, d *ledgertest.Disk) { write(t, d, true, true) }, 0, "text"},
		{"a name that was not flushed goes", func(t *testing.T, d *ledgertest.Disk) { write(t, d, true, false) }, 0, "gone"},
		{"bytes that were not flushed go", func(t *testing.T, d *ledgertest.Disk) { write(t, d, false, true) }, 0, ""},
		{"with luck all stays", func(t *testing.T, d *ledgertest.Disk) { write(t, d, false, false) }, 1, "text"},
		{"a failed flush is lost for good, whatever follows", func(t *testing.T, d *ledgertest.Disk) {
			failed := false
			d.Inject(func(s ledgertest.Step) *ledgertest.Fault {
				if s.Call != "sync" || failed {
					return nil
				}
				failed = true
				return &ledgertest.Fault{Err: syscall.EIO}
			})
			write(t, d, true, true)
			write(t, d, true, true, "")
		}, 1, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := ledgertest.NewDisk(0)
			test.do(t, d)
			if got := read(t, d.Crash(rand.New(rand.NewPCG(1, 1)), test.keep)); got != test.want {
				t.Errorf("the file holds %q after a power cut, want %q", got, test.want)
			}
		})
	}
}

// write makes the file, with other content than "text" if some is given, and flushes what is asked for.
func write(t *testing.T, d *ledgertest.Disk, bytes, name bool, content ...string) {
	t.Helper()
	f, err := d.OpenFile("/a/b", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	text := append(content, "text")[0]
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		t.Fatal(err)
	}
	if bytes {
		if err := f.Sync(); err != nil {
			t.Log(err)
		}
	}
	if name {
		if err := d.SyncDir("/a"); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, d *ledgertest.Disk) string {
	t.Helper()
	f, err := d.OpenFile("/a/b", os.O_RDONLY, 0)
	if err != nil {
		return "gone"
	}
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); int64(n) < size {
		t.Fatal(err)
	}
	return string(b)
}
