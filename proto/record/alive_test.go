package record_test

import (
	"testing"
	"time"

	"tapline/proto/record"
)

// TestTheMarkOfTheRunBefore holds that a mark of life travels whole, in UTC, and that one that cannot be is refused.
func TestTheMarkOfTheRunBefore(t *testing.T) {
	s := statement(hmi1, 3, nil)
	p := started()
	zone := time.FixedZone("elsewhere", 3600)
	mark := record.Alive{Wall: start.In(zone), Boot: "boot-1", Monotonic: 7}
	p.Start.Alive, p.Time = &mark, at(0)
	e := write(t, record.NewChain(s), p)
	got, err := e.Payload()
	if err != nil || got.Start.Alive == nil || !got.Start.Alive.Wall.Equal(start) || got.Start.Alive.Monotonic != 7 {
		t.Errorf("read back %+v, %v", got.Start.Alive, err)
	}
	if mark.Wall.Location() != zone {
		t.Error("the caller's own mark was changed")
	}
	for _, bad := range []record.Alive{{Boot: "b"}, {Wall: start, Monotonic: -1}, {Wall: start, Boot: "a\x00b"}} {
		q := got
		q.Start = &record.Start{Build: "b", Alive: &bad}
		if q.Validate() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
