package session

import (
	"time"

	"tapline/proto/record"
)

// minExtend keeps a lease that is nearly over from being extended in a loop.
const minExtend = time.Second

func (Tick) apply(s *step) {
	s.heldTick()
	s.emergencyTick()
	if s.open.id == "" {
		return
	}
	if cause := s.dueEnd(); cause != "" {
		s.end(cause)
		return
	}
	o := &s.open
	if due(o.askUntil, s.now) {
		o.askUntil = time.Time{}
		s.do(Show{s.Presence()})
	}
	if o.idle > 0 && o.idleWarning > 0 && !o.warned && due(o.touched.Add(o.idle-o.idleWarning), s.now) {
		o.warned = true
		s.do(Tell{Notice{Kind: IdleWarning, Lasts: o.touched.Add(o.idle).Sub(s.now), Person: o.person}})
	}
	if due(o.endWarnAt, s.now) {
		o.endWarnAt = time.Time{}
		s.do(Tell{Notice{Kind: EndNear, Reason: o.endsWhy, Lasts: o.endsAt.Sub(s.now), Person: o.person}})
	}
	if due(o.extendAt, s.now) {
		o.extendAt = s.now.Add(max(s.rules.ExtendRetry, minExtend)) // unless the answer says otherwise
		s.do(Extend{Session: o.id, Fence: o.lease.Fence})
	}
}

// dueEnd is the cause of the first end that is due, empty when none is.
func (s *step) dueEnd() record.Reason {
	o := s.open
	var idle time.Time
	if o.idle > 0 {
		idle = o.touched.Add(o.idle)
	}
	var first time.Time
	var cause record.Reason
	for _, end := range []struct {
		at  time.Time
		why record.Reason
	}{{o.goneAt, CardRemoved}, {o.endsAt, o.endsWhy}, {idle, IdleEnd}} {
		if due(end.at, s.now) && (cause == "" || end.at.Before(first)) {
			first, cause = end.at, end.why
		}
	}
	return cause
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

func (e Extended) apply(s *step) {
	o := &s.open
	if e.Session != o.id || e.Session == "" || o.lease == nil {
		return
	}
	switch {
	case !e.Reached: // the person stays: Tick asks again
	case !e.Allowed:
		s.end(RevokedCause)
	default:
		lease := *o.lease
		lease.ExpiresAt = e.ExpiresAt
		o.lease = &lease
		o.extendAt = s.extendAt(o.lease)
		if soonest := s.now.Add(minExtend); !o.extendAt.IsZero() && o.extendAt.Before(soonest) {
			o.extendAt = soonest
		}
		s.do(Record{Payload: record.Payload{
			Type: record.SessionExtended, Session: o.id, Person: o.person.ID, Account: o.account, Lease: leaseOf(o.lease), Mode: o.mode,
		}})
	}
}
