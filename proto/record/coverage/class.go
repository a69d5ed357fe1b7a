package coverage

import (
	"time"

	"tapline/proto/record"
)

// Class is what a second of a station is.
type Class string

// The five classes. A second is exactly one of them.
const (
	Named        Class = "named"
	Emergency    Class = "emergency"
	Unattributed Class = "unattributed"
	Idle         Class = "idle"
	Down         Class = "agent-down"
)

// Classes gives them in the order in which people read them.
func Classes() []Class { return []Class{Named, Emergency, Unattributed, Idle, Down} }

// Interval is a stretch of time of one class, from From up to Until, without it. Session is the session or the emergency; Person is set when named.
type Interval struct {
	From, Until time.Time
	Class       Class
	Session     record.SessionID
	Person      record.PersonID
	// ByStationClock says that no broker's time fixes its place.
	ByStationClock bool
}

// Length is how long it is.
func (i Interval) Length() time.Duration { return i.Until.Sub(i.From) }

// state is how a station stands between two records.
type state struct {
	up               bool
	named, emergency record.SessionID
	person           record.PersonID
	unattributed     bool // a record says so
	unknown          bool // records are missing
	degraded         bool // the journal takes no records
	slow             bool // it takes them late
	hidden           bool // the session in force began while it took none
}

// shown is what a second in that state is.
type shown struct {
	class   Class
	session record.SessionID
	person  record.PersonID
}

func (s state) shown() shown {
	switch {
	case !s.up:
		return shown{class: Down}
	case s.emergency != "":
		return shown{class: Emergency, session: s.emergency}
	case s.unattributed, s.unknown, s.named != "" && (s.hidden || s.slow):
		return shown{class: Unattributed}
	case s.named != "":
		return shown{class: Named, session: s.named, person: s.person}
	}
	return shown{class: Idle}
}

// take is the state after p.
func (s state) take(p record.Payload) state {
	switch p.Type {
	case record.SessionOpened, record.SessionHandedOver:
		s.named, s.person, s.hidden, s.unknown = p.Session, p.Person, s.degraded, false
	case record.SessionClosed:
		s = s.close(p.Session)
	case record.EmergencyOpened:
		s.emergency = p.Session
	case record.UnattributedBegan:
		s.unattributed, s.unknown = true, false
	case record.UnattributedEnded:
		s.unattributed = false
	case record.StationStopped:
		s = state{emergency: s.emergency} // which goes on in the next run
	case record.StationHeartbeat:
		s = s.beat(p.Beat.State)
	case record.JournalDegraded, record.JournalRecovered:
		s = s.journal(p)
	}
	return s
}

func (s state) close(id record.SessionID) state {
	switch id {
	case s.named:
		s.named, s.person, s.hidden = "", "", false
	case s.emergency:
		s.emergency = ""
	}
	return s
}

// beat believes a heartbeat that says that nobody is there, and never that somebody is whom no record names.
func (s state) beat(says string) state {
	if says == "idle" {
		s.named, s.person, s.hidden, s.unknown = "", "", false, false
	}
	return s
}

// SlowDisk is the fault of a journal.degraded about records that are late: unlike all others it tells of the session that is in force already.
const SlowDisk = "slow"

func (s state) journal(p record.Payload) state {
	if p.Journal.Dropped > 0 {
		s = state{up: s.up, degraded: s.degraded, unknown: true}
	}
	began := p.Type == record.JournalDegraded
	if p.Journal.Fault == SlowDisk {
		s.slow = began
		return s
	}
	s.degraded = began
	s.hidden = s.hidden && began
	return s
}
