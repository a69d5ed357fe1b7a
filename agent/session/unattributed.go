package session

import (
	"slices"
	"time"

	"tapline/proto/record"
)

type (
	// Used: the machine is used by somebody whom the operating system knows by an account. A use that is told again begins again.
	Used struct{ Use Use }
	// Unused: a use ended.
	Unused struct{ ID string }
)

// Use is one use of the machine: a logon, an unlock, a shell from afar.
type Use struct {
	ID      string // as whoever tells of it names it
	Account record.AccountID
	Reason  record.Reason
	// Remote is a use from elsewhere: a tap at the station says nothing of it, so it counts whenever nobody is there.
	Remote bool
}

// Reasons of unattributed use.
const (
	OSLogon   record.Reason = "os-logon"
	OSUnlock  record.Reason = "os-unlock"
	OSSwitch  record.Reason = "os-switch" // the screen went over to another account
	SSH       record.Reason = "ssh"
	RDP       record.Reason = "rdp"
	Remote    record.Reason = "remote" // from elsewhere in another way
	InputUsed record.Reason = "input"
)

const (
	// explainWithin is how long a use waits for a tap that explains it, and explainAtMost the same while a tap is being decided: a use that none explains is on
	// record within five seconds.
	explainWithin = 2 * time.Second
	explainAtMost = 4 * time.Second
	// inputUse names the use of keyboard, mouse and touch.
	inputUse = "input"
	// maxUses bounds what is remembered.
	maxUses = 64
)

// use is one use and what is to be made of it.
type use struct {
	Use
	since     time.Time
	endsAt    time.Time // when it counts no longer without a new sign; zero for never
	explained bool
}

// due is when it is unattributed, if nothing explains it before.
func (u use) due(deciding bool) time.Time {
	if deciding {
		return u.since.Add(explainAtMost)
	}
	return u.since.Add(explainWithin)
}

// Unattributed says why the station's time is on record as unattributed; empty when it is not.
func (s State) Unattributed() record.Reason { return s.unattributed }

// attributed reports whether somebody answers for what happens here, or will: an emergency has to be claimed.
func (s State) attributed() bool { return s.open.id != "" || s.emergency != "" }

func (s State) useDeadlines() []time.Time {
	var list []time.Time
	for _, u := range s.uses {
		list = append(list, u.endsAt)
		if s.unattributed == "" && !u.explained && !s.attributed() && !s.stopped {
			list = append(list, u.due(s.pending != nil))
		}
	}
	return list
}

func (e Used) apply(s *step) {
	if !s.stopped {
		s.use(e.Use, s.rules.UseLongest)
	}
}

// use begins a use, or goes on with it.
func (s *step) use(u Use, lasts time.Duration) {
	now := use{Use: u, since: s.now, explained: !u.Remote && s.attributed()}
	if lasts > 0 && !u.Remote {
		now.endsAt = s.now.Add(lasts)
	}
	i := slices.IndexFunc(s.uses, func(was use) bool { return was.ID == u.ID })
	s.uses = slices.Clone(s.uses) // State is a value: the list may be another's too
	switch {
	case i < 0 && len(s.uses) < maxUses:
		s.uses = append(s.uses, now)
	case i >= 0 && !s.uses[i].explained && !now.explained:
		s.uses[i].endsAt = now.endsAt
	case i >= 0:
		s.uses[i] = now
	}
}

func (e Unused) apply(s *step) { s.unuse(func(u use) bool { return u.ID == e.ID }) }

func (s *step) unuse(which func(use) bool) {
	if slices.ContainsFunc(s.uses, which) {
		s.uses = slices.DeleteFunc(slices.Clone(s.uses), which)
	}
}

// inputWithoutAnybody is input that no session and no tap on its way (somebody enters a PIN) explains: use, where nothing holds it back.
func (s *step) inputWithoutAnybody() {
	if s.pending == nil && s.held == nil && s.rules.InputQuiet > 0 && s.mode() == record.ModeAttribute && !s.stopped {
		s.use(Use{ID: inputUse, Reason: InputUsed}, s.rules.InputQuiet)
	}
}

// account goes over the uses after each event, and puts on record when unattributed time begins and when it ends.
func (s *step) accountForUse() {
	s.unuse(func(u use) bool { return due(u.endsAt, s.now) })
	if s.attributed() {
		s.explain()
	}
	why := s.unexplained()
	if (why.Reason != "") == (s.unattributed != "") {
		return
	}
	s.unattributed = why.Reason
	if why.Reason != "" {
		s.usedSince = s.now
		s.do(Record{Payload: record.Payload{Type: record.UnattributedBegan, Reason: why.Reason, Account: why.Account, Mode: s.mode()}})
	} else {
		s.do(Record{Payload: record.Payload{Type: record.UnattributedEnded, Reason: s.endOfUse(), Mode: s.mode()}})
	}
	if !s.attributed() {
		s.do(Show{s.Presence()})
	}
}

// explain takes the uses at the station itself for those of the person who is there.
func (s *step) explain() {
	if !slices.ContainsFunc(s.uses, func(u use) bool { return !u.Remote && !u.explained }) {
		return
	}
	s.uses = slices.Clone(s.uses)
	for i := range s.uses {
		s.uses[i].explained = s.uses[i].explained || !s.uses[i].Remote
	}
}

// unexplained is the first use that nobody answers for, if it is time to say so; zero for none.
func (s *step) unexplained() Use {
	if s.attributed() || s.stopped {
		return Use{}
	}
	for _, u := range s.uses {
		if !u.explained && (s.unattributed != "" || due(u.due(s.pending != nil), s.now)) {
			return u.Use
		}
	}
	return Use{}
}

// endOfUse says why unattributed time ended.
func (s *step) endOfUse() record.Reason {
	switch {
	case s.stopped:
		return AgentStopped
	case s.open.id != "":
		return "tap"
	case s.emergency != "":
		return EmergencyCause
	}
	return "unused"
}
