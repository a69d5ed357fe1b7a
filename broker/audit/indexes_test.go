package audit

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestASetOfLeavesFindsTheNextOne(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var s indexes
	var all []uint64
	for range 500 {
		i := r.Uint64N(1 << (4 + r.UintN(20)))
		s.add(i)
		all = append(all, i)
	}
	slices.Sort(all)
	for range 5000 {
		from := r.Uint64N(1 << (4 + r.UintN(20)))
		at, found := slices.BinarySearch(all, from)
		got, ok := s.next(from)
		if want := at < len(all); ok != want || ok && got != all[at] {
			t.Fatalf("from %d: %d %v, want %v (%v)", from, got, ok, want, found)
		}
	}
	if _, ok := new(indexes).next(0); ok {
		t.Error("an empty set has a leaf")
	}
}
