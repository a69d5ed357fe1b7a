package session

import (
	"time"

	"tapline/proto/record"
	"tapline/reader"
)

// State is what a station remembers between two events. The zero State is a station where nobody is.
type State struct {
	open    open
	pending *Tap  // being decided
	left    bool  // the pending tap's badge has left again
	queued  *Tap  // to be decided next
	held    *held // waits for a PIN or a second person
	seen    seen  // the last badge
	unread  unread
	revoked record.SessionID // the last session that the broker ended, in case its answer is still on the way
	account record.AccountID // the last that a session was under

	emergency record.SessionID // in force; empty for none
	crises    []crisis         // the one in force, and those that people still have to answer for
	claim     claim
	stale     record.SessionID // the pending tap, if an emergency came after it

	stopped bool

	uses         []use         // of the machine, that the operating system or the input devices tell of
	unattributed record.Reason // of the record that says so; empty when there is none
	usedSince    time.Time
	force        record.Mode // in force, as it was reported last; empty before
}

// open is the session in force; its ID is empty when there is none.
type open struct {
	id       record.SessionID
	person   Person
	badge    Badge
	second   *second // who has to be there too; nil for nobody
	account  record.AccountID
	lease    *Lease
	by       string
	mode     record.Mode
	asksMode record.Mode // what the broker asked for
	reader   reader.Name
	presence bool

	since    time.Time
	touched  time.Time // last tap or input
	warned   bool
	askUntil time.Time       // zero when the station does not ask
	asked    record.BadgeRef // whom
	extendAt time.Time       // zero when there is nothing to extend

	idle, idleWarning time.Duration
	endsAt            time.Time
	seen              time.Time // the badge, last
	signed            bool      // something, in this session
	factors           []string
	endsWhy           record.Reason
	endWarnAt         time.Time // zero when there is no warning to come
	leaveTheCard      bool
	cardGrace         time.Duration
	goneAt            time.Time // when the session ends because its badge is gone; zero as long as it is there
}

type seen struct {
	ref record.BadgeRef
	at  time.Time
}

type unread struct {
	reader reader.Name
	reason reader.Reason
	at     time.Time
}

// Session is the session in force, empty for none.
func (s State) Session() record.SessionID { return s.open.id }

// Stopped reports whether Shutdown was seen.
func (s State) Stopped() bool { return s.stopped }

// Presence is who is at the station.
func (s State) Presence() Presence {
	o := s.open
	if o.id == "" {
		return Presence{Emergency: s.Emergency(), Used: s.unattributed, Since: s.usedSinceIf()}
	}
	p := Presence{
		Emergency: s.Emergency(),
		Session:   o.id, Person: o.person, Since: o.since, EndsAt: o.endsAt, Account: o.account,
		Assurance: o.badge.Assurance, Mode: o.mode, By: o.by, Reader: o.reader,
	}
	if o.second != nil {
		p.Second = o.second.person
	}
	return p
}

// usedSinceIf is since when the station has been in use by nobody who can be named; zero when it is not.
func (s State) usedSinceIf() time.Time {
	if s.unattributed == "" {
		return time.Time{}
	}
	return s.usedSince
}

// Lease is the broker's lease of the session in force; false when there is none, also when the session began without the broker.
func (s State) Lease() (Lease, bool) {
	if s.open.lease == nil {
		return Lease{}, false
	}
	return *s.open.lease, true
}

// Deadline is when a Tick is due; false when time changes nothing.
func (r Rules) Deadline(s State) (time.Time, bool) {
	var next time.Time
	for _, t := range s.deadlines() {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next, !next.IsZero()
}

func (s State) deadlines() []time.Time {
	list := append(s.emergencyDeadlines(), s.useDeadlines()...)
	if s.held != nil && s.pending == nil {
		list = append(list, s.held.until)
	}
	if s.open.id == "" {
		return list
	}
	o := s.open
	list = append(list, o.goneAt, o.endsAt, o.askUntil, o.extendAt, o.endWarnAt)
	if o.idle > 0 {
		list = append(list, o.touched.Add(o.idle))
		if !o.warned && o.idleWarning > 0 {
			list = append(list, o.touched.Add(o.idle-o.idleWarning))
		}
	}
	return list
}
