package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapline/proto/ledger"
	"tapline/proto/ledger/ledgertest"
)

func newRand(seed int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 5)) }

// onDisk writes n entries, four to a segment, to a real directory and returns it.
func onDisk(t *testing.T, n int) (string, ledger.Options) {
	t.Helper()
	home, o := t.TempDir(), small(nil)
	l := open(t, home, o)
	for i := range n {
		add(t, l, fmt.Sprintf("entry %d %s", i+1, strings.Repeat("x", 900)))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return home, o
}

func segmentFile(home string, first int) string {
	return filepath.Join(home, fmt.Sprintf("%020d.seg", first))
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		b[at] ^= 0x40
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func tree(t *testing.T, home string) map[string]string {
	t.Helper()
	files := map[string]string{}
	names, err := filepath.Glob(filepath.Join(home, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(n)] = string(b)
	}
	return files
}

// TestDamage breaks a ledger of ten entries in segments of four. Open must refuse, name the place and change nothing; with Quarantine it
// puts the file aside and goes on; a reader reads all that can be read.
func TestDamage(t *testing.T) {
	const frame = 936 // 24 + about 910, in eights
	tests := []struct {
		name     string
		damage   func(t *testing.T, home string)
		path     string
		index    ledger.Index
		kept     []int // entries left after quarantine
		readable []int // by a Reader, before
		kinds    []ledger.DamageKind
	}{
		{
			name:   "a bit in the first segment",
			damage: func(t *testing.T, home string) { flip(t, segmentFile(home, 1), 4096+frame+100) },
			path:   "00000000000000000001.seg", index: 2,
			kept: []int{5, 6, 7, 8, 9, 10}, readable: []int{1, 3, 4, 5, 6, 7, 8, 9, 10}, kinds: []ledger.DamageKind{ledger.Corrupt},
		},
		{
			name:   "the header of the middle segment",
			damage: func(t *testing.T, home string) { flip(t, segmentFile(home, 5), 3) },
			path:   "00000000000000000005.seg", index: 5,
			kept: []int{1, 2, 3, 4, 9, 10}, readable: []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, kinds: []ledger.DamageKind{ledger.Corrupt},
		},
		{
			name:   "the middle of the last segment, with a good entry after it",
			damage: func(t *testing.T, home string) { flip(t, segmentFile(home, 9), 4096+100) },
			path:   "00000000000000000009.seg", index: 9,
			kept: []int{1, 2, 3, 4, 5, 6, 7, 8}, readable: []int{1, 2, 3, 4, 5, 6, 7, 8, 10}, kinds: []ledger.DamageKind{ledger.Corrupt},
		},
		{
			name: "the middle segment is gone",
			damage: func(t *testing.T, home string) {
				if err := os.Remove(segmentFile(home, 5)); err != nil {
					t.Fatal(err)
				}
			},
			path: "00000000000000000001.seg", index: 5,
			kept: []int{1, 2, 3, 4, 9, 10}, readable: []int{1, 2, 3, 4, 9, 10}, kinds: []ledger.DamageKind{ledger.Missing},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			home, o := onDisk(t, 10)
			test.damage(t, home)
			before := tree(t, home)

			_, _, err := ledger.Open(home, o)
			wantError(t, err, ledger.ErrCorrupt)
			var at *ledger.Error
			if !errors.As(err, &at) || filepath.Base(at.Path) != test.path || at.Index != test.index {
				t.Errorf("error names %+v; want %s, entry %d", at, test.path, test.index)
			}
			r, err := ledger.OpenReader(home, o)
			if err != nil {
				t.Fatal(err)
			}
			wantEntries(t, r.Entries(0), entryList(test.readable)...)
			if diff := cmp.Diff(test.kinds, kinds(r)); diff != "" {
				t.Errorf("kinds of damage (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tree(t, home)); diff != "" {
				t.Error("refusing to open or reading has changed files")
			}

			o.Quarantine = true
			l, rec, err := ledger.Open(home, o)
			if err != nil {
				t.Fatal(err)
			}
			if len(rec.DroppedSegments) != 1 || rec.Reason == "" {
				t.Errorf("recovery %+v names no dropped segment", rec)
			}
			wantEntries(t, l.Entries(0), entryList(test.kept)...)
			next := add(t, l, "after")
			if next <= 10 {
				t.Errorf("index %d was used before", next)
			}
			l.Close()
			o.Quarantine = false
			l = open(t, home, o)
			wantEntries(t, l.Entries(0), append(entryList(test.kept), fmt.Sprintf("%d:after", next))...)
		})
	}
}

func entryList(index []int) []string {
	var s []string
	for _, i := range index {
		s = append(s, fmt.Sprintf("%d:%.12s", i, fmt.Sprintf("entry %d xxxxxxxxxxxx", i)))
	}
	return s
}

func kinds(r *ledger.Reader) []ledger.DamageKind {
	var k []ledger.DamageKind
	for _, d := range r.Damage() {
		k = append(k, d.Kind)
	}
	return k
}

// TestATornEndIsNoDamage: Open cuts it and says so, a reader shows it as torn.
func TestATornEndIsNoDamage(t *testing.T) {
	home, o := onDisk(t, 10)
	flip(t, segmentFile(home, 9), 4096+936+100)
	r, err := ledger.OpenReader(home, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]ledger.DamageKind{ledger.Torn}, kinds(r)); diff != "" {
		t.Errorf("kinds of damage (-want +got):\n%s", diff)
	}
	l, rec, err := ledger.Open(home, o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if rec.Next != 10 || rec.TornBytes == 0 || rec.Reason == "" {
		t.Errorf("recovery %+v; want entry 10 cut", rec)
	}
	if i := add(t, l, "again"); i != 10 {
		t.Errorf("index %d, want 10", i)
	}
}

// TestADiskThatDoesNotAnswer is not damage: nothing must be put aside because of it.
func TestADiskThatDoesNotAnswer(t *testing.T) {
	d := ledgertest.NewDisk(0)
	o := small(d)
	l := open(t, dir, o)
	add(t, l, "a")
	d.Inject(func(s ledgertest.Step) *ledgertest.Fault {
		if s.Call == "read" {
			return &ledgertest.Fault{Err: syscall.EIO}
		}
		return nil
	})
	_, err := list(l.Entries(1))
	wantError(t, err, syscall.EIO)
	l.Close()
	o.Quarantine = true
	_, rec, openErr := ledger.Open(dir, o)
	wantError(t, openErr, syscall.EIO)
	if errors.Is(err, ledger.ErrCorrupt) || errors.Is(openErr, ledger.ErrCorrupt) || rec.DroppedSegments != nil {
		t.Errorf("errors %v and %v, recovery %+v; a read error is no proof of damage", err, openErr, rec)
	}
	d.Inject(nil)
	wantEntries(t, open(t, dir, o).Entries(1), "1:a")
}
