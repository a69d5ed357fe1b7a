package session

import (
	"cmp"
	"slices"
	"time"

	"tapline/proto/record"
)

// Causes of the end of an emergency, and of a session that an emergency ends, as records spell them.
const (
	// EmergencyCause ends the session that was in force when somebody pressed: from then on anybody may be at the station, and nobody's name stands for it.
	EmergencyCause record.Reason = "emergency"
	// TapIn: a person tapped, so that there is a name again.
	TapIn record.Reason = "tap-in"
	// EndedHere: somebody ended it at the station.
	EndedHere record.Reason = "ended-here"
)

// ClaimsNeeded is how many different people have to answer for an emergency.
const ClaimsNeeded = record.ClaimsNeeded

type (
	// EmergencyPressed: somebody opened the station without a badge. ID names the emergency that begins, if none is in force.
	EmergencyPressed struct {
		ID     record.SessionID
		Reason record.Reason // a word of the panel's tiles
	}
	// EmergencyFound: an earlier run left an emergency that is still in force, or that not enough people have answered for. Opened is its record, Ago how
	// long ago it was written.
	EmergencyFound struct {
		Opened  record.Payload
		Ago     time.Duration
		InForce bool
		Claims  []record.PersonID
	}
)

// Emergency is a time in which the station is open to anybody, or one that people still have to answer for.
type Emergency struct {
	ID     record.SessionID
	Reason record.Reason
	Since  time.Time
	EndsAt time.Time // at the latest; zero for no such time, and once it is over
	// ClaimBy is when enough people should have answered for it; Missing is how many have not, and Overdue that it is past that time.
	ClaimBy time.Time
	Missing int
	Overdue bool
}

// crisis is an emergency with what the station alone has to know of it.
type crisis struct {
	Emergency
	account record.AccountID
	claims  []record.PersonID
}

// Emergency is the one in force; its ID is empty when there is none.
func (s State) Emergency() Emergency {
	if i := s.crisis(s.emergency); i >= 0 {
		return s.crises[i].Emergency
	}
	return Emergency{}
}

// Unclaimed are the emergencies that not enough people have answered for, oldest first.
func (s State) Unclaimed() []Emergency {
	var list []Emergency
	for _, c := range s.crises {
		if c.Missing > 0 {
			list = append(list, c.Emergency)
		}
	}
	return list
}

// crisis is the place of an emergency in the list; -1 when it is not there.
func (s State) crisis(id record.SessionID) int {
	if id == "" {
		return -1
	}
	return slices.IndexFunc(s.crises, func(c crisis) bool { return c.ID == id })
}

// change replaces an emergency: State is a value, and the list may be another's too. One that is over and answered for is forgotten.
func (s *step) change(i int, c crisis) {
	s.crises = slices.Clone(s.crises)
	s.crises[i] = c
	if c.Missing == 0 && c.ID != s.emergency {
		s.crises = slices.Delete(s.crises, i, i+1)
	}
}

// apply opens the station at once: it is shown before any record is written, and nothing is asked. While an emergency is in force, another press is the same.
func (e EmergencyPressed) apply(s *step) {
	if s.stopped {
		return
	}
	if s.emergency != "" || s.crisis(e.ID) >= 0 || e.ID == "" {
		s.do(Show{s.Presence()})
		return
	}
	before := s.open
	c := crisis{account: cmp.Or(before.account, s.account), Emergency: Emergency{
		ID: e.ID, Reason: e.Reason, Since: s.now, ClaimBy: s.now.Add(s.rules.ClaimWithin), Missing: ClaimsNeeded,
	}}
	if s.rules.EmergencyLongest > 0 {
		c.EndsAt = s.now.Add(s.rules.EmergencyLongest)
	}
	s.crises, s.emergency, s.open = append(slices.Clone(s.crises), c), e.ID, open{}
	s.do(Show{s.Presence()})
	s.do(Record{Payload: record.Payload{
		Type: record.EmergencyOpened, Session: e.ID, Account: c.account, Reason: e.Reason, Decision: &record.Decision{By: "emergency"}, Mode: s.mode(),
	}})
	if before.id != "" {
		s.do(Record{Payload: closed(before, EmergencyCause)})
		if before.lease != nil {
			s.do(Release{Session: before.id, Fence: before.lease.Fence, Cause: EmergencyCause})
		}
	}
	s.overtake()
	s.do(Show{s.Presence()})
}

// overtake lets no tap that came before the emergency end it: whoever tapped may be gone.
func (s *step) overtake() {
	switch {
	case s.pending != nil:
		s.stale = s.pending.Session
	case s.held != nil:
		s.callOff(Overtaken)
	}
	if s.queued != nil {
		s.refuse(*s.queued, nil, Answer{Refusal: Overtaken})
		s.queued = nil
	}
}

// staleDecided is the answer about a tap that came before the emergency.
func (s *step) staleDecided(tap Tap, a Answer) {
	s.stale = ""
	if a.Allowed {
		s.giveBack(a, EmergencyCause)
		a = Answer{Refusal: Overtaken, Person: a.Person, Decision: a.Decision, Factors: a.Factors, Latency: a.Latency}
	}
	if s.held != nil {
		s.giveUp(a)
		return
	}
	s.refuse(tap, nil, a)
}

// apply takes an emergency up again where the last run left it. The time in between counts.
func (e EmergencyFound) apply(s *step) {
	p := e.Opened
	if s.stopped || p.Session == "" || s.crisis(p.Session) >= 0 {
		return
	}
	since := s.now.Add(-max(0, e.Ago))
	c := crisis{account: p.Account, claims: slices.Clone(e.Claims), Emergency: Emergency{
		ID: p.Session, Reason: p.Reason, Since: since, ClaimBy: since.Add(s.rules.ClaimWithin), Missing: max(0, ClaimsNeeded-len(e.Claims)),
	}}
	inForce := e.InForce && s.emergency == ""
	if !inForce && c.Missing == 0 {
		return
	}
	s.crises = append(slices.Clone(s.crises), c)
	if inForce {
		s.emergency = c.ID
		if s.rules.EmergencyLongest > 0 {
			s.crises[len(s.crises)-1].EndsAt = since.Add(s.rules.EmergencyLongest)
		}
	}
	s.do(Show{s.Presence()})
}

// leaveEmergency records the end of the emergency in force, if there is one.
func (s *step) leaveEmergency(cause record.Reason) {
	i := s.crisis(s.emergency)
	if i < 0 {
		return
	}
	c := s.crises[i]
	c.EndsAt = time.Time{}
	s.emergency = ""
	s.change(i, c)
	s.do(Record{Payload: record.Payload{Type: record.SessionClosed, Session: c.ID, Account: c.account, Reason: cause, Mode: s.mode()}})
}

// endEmergency ends it without anybody's name.
func (s *step) endEmergency(cause record.Reason) {
	s.leaveEmergency(cause)
	s.do(Show{s.Presence()})
}

// emergencyTick ends an emergency whose time is up, and says once of each that nobody has answered for it in time.
func (s *step) emergencyTick() {
	if s.stopped {
		return
	}
	if e := s.Emergency(); due(e.EndsAt, s.now) {
		s.endEmergency(Expired)
	}
	for i, c := range s.crises {
		if c.Missing > 0 && !c.Overdue && due(c.ClaimBy, s.now) {
			c.Overdue = true
			s.change(i, c)
			s.do(Show{s.Presence()})
			s.do(Tell{Notice{Kind: Unanswered, Emergency: c.ID, Missing: c.Missing, Lasts: noticeLasts}})
		}
	}
	if s.claim.id != "" && due(s.claim.until, s.now) {
		s.claim = claim{}
		s.do(Show{s.Presence()})
	}
}

// emergencyDeadlines are when time alone changes something about emergencies.
func (s State) emergencyDeadlines() []time.Time {
	list := []time.Time{s.Emergency().EndsAt, s.claim.until}
	for _, c := range s.crises {
		if c.Missing > 0 && !c.Overdue {
			list = append(list, c.ClaimBy)
		}
	}
	return list
}
