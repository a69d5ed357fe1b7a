package session

import "tapline/proto/record"

// ModeInForce: how far the station enforces has changed, and why; Reason is never empty.
type ModeInForce struct {
	Mode   record.Mode
	Reason record.Reason
}

func (e ModeInForce) apply(s *step) {
	s.force = e.Mode
	if s.open.id != "" {
		s.open.mode = lesserMode(s.open.asksMode, e.Mode)
	}
	s.do(Record{Payload: record.Payload{Type: record.ModeChanged, Mode: e.Mode, Reason: e.Reason}})
	s.do(Show{s.Presence()})
	s.do(Tell{Notice{Kind: ModeNotice, Reason: e.Reason, Lasts: noticeLasts}})
}

// Mode is the mode in force at the station, whoever is there; own is what it is until one was reported.
func (s State) Mode(own record.Mode) record.Mode {
	if s.force == "" {
		return own
	}
	return s.force
}
