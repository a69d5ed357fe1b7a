package ledger_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tapline/proto/ledger"
)

// TestRealFullDisk fills a real file system to the last byte, not only with the ledger's own files.
func TestRealFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs: root")
	}
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		t.Skip("needs: the right to mount a tmpfs")
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
	})
	o := ledger.Options{SegmentSize: 128 << 10, Reserve: 128 << 10}
	l := open(t, filepath.Join(mount, "journal"), o)
	add(t, l, "first")
	hog := filepath.Join(mount, "hog")
	os.WriteFile(hog, make([]byte, 2<<20), 0o600) // fails when it has taken all
	if s := l.Stats(); s.Free != 0 {
		t.Fatalf("%d bytes free; want the disk full", s.Free)
	}
	data := []byte(strings.Repeat("x", 1000))
	fill(t, l, data)
	closed := 0
	for ; closed < 1000; closed++ {
		if _, err := l.AppendReserved(t.Context(), data); err != nil {
			wantError(t, err, ledger.ErrFull)
			break
		}
	}
	if closed < 100 {
		t.Errorf("%d closing entries fit into a reserve of 128 KiB", closed)
	}
	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	if _, err := l.AppendReserved(t.Context(), data); err != nil {
		t.Errorf("with space again: %v", err)
	}
	_, next := l.Bounds()
	lines, err := list(l.Entries(1))
	if err != nil || len(lines) != int(next)-1 {
		t.Errorf("%d entries, error %v; want %d", len(lines), err, next-1)
	}
	l.Close()
}
