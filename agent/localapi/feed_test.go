package localapi

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	taplinev1 "tapline/proto/tapline/v1"
)

func TestWhoeverComesLateHearsOfATapThatWaits(t *testing.T) {
	f := newFeed()
	state := func() *taplinev1.Notice {
		events, _ := f.after(0)
		return events[0].change.GetNotice()
	}
	tell := func(kind taplinev1.NoticeKind, waits time.Duration) {
		n := &taplinev1.Notice{Kind: kind}
		if waits != 0 {
			n.Session, n.AnswerBy = "t1", timestamppb.New(time.Now().Add(waits))
		}
		f.add(&taplinev1.WatchPresenceResponse{Presence: &taplinev1.Presence{}, Notice: n})
	}
	tell(taplinev1.NoticeKind_NOTICE_KIND_DECIDING, 0)
	if n := state(); n != nil {
		t.Errorf("nothing waits: %v", n)
	}
	tell(taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED, time.Minute)
	tell(taplinev1.NoticeKind_NOTICE_KIND_READER, 0) // which changes nothing about it
	if n := state(); n.GetSession() != "t1" {
		t.Errorf("a tap waits: %v", n)
	}
	tell(taplinev1.NoticeKind_NOTICE_KIND_REFUSED, 0)
	if n := state(); n != nil {
		t.Errorf("it was refused: %v", n)
	}
	tell(taplinev1.NoticeKind_NOTICE_KIND_SECOND_PERSON_NEEDED, -time.Second)
	if n := state(); n != nil {
		t.Errorf("its time is up: %v", n)
	}
}
