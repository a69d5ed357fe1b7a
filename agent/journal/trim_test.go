package journal

import (
	"sync"
	"testing"

	"tapline/proto/record"
	"tapline/proto/record/evidence"
)

func TestOldRecordsLeaveOnlyUnderAReceipt(t *testing.T) {
	s := newStation(t)
	s.keep = 100
	j, _, stop := s.start()
	fill := func() {
		var writers sync.WaitGroup
		for range 16 {
			writers.Go(func() {
				for range 100 {
					if _, err := j.Write(t.Context(), refused()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writers.Wait()
	}
	fill()
	fill() // more than one segment
	j.trim()
	if first, _ := j.Bounds(); first != 1 {
		t.Fatalf("records before %d left without a receipt", first)
	}
	e, r := receipt(t, j.Head())
	if err := j.Acked(e, r); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "old records leave", func() bool { first, _ := j.Bounds(); return first > 1 })
	s.write(j, opened("s1"))
	stop()
	j, rec, stop := s.start()
	if rec.Open == nil || j.Head().Seq != record.Seq(rec.Records) {
		t.Errorf("recovery %+v", rec)
	}
	s.write(j, closed("s1"))
	stop()
	chains, err := evidence.Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	found, err := evidence.Verify(t.Context(), chains, evidence.Options{})
	if err != nil || len(found) != 1 || found[0].Fault != nil {
		t.Errorf("the trimmed journal: %+v, %v", found, err)
	}
}
