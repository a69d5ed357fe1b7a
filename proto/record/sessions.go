package record

import "fmt"

// sessions follows which sessions are open at a station: at most one of a person and one emergency beside it.
type sessions struct {
	named, emergency SessionID
	// unseen is how many sessions may be open whose opening was not among the records.
	unseen int
}

// lose says that records are missing for a stated reason: whatever was open may have ended, and another may have been opened.
func (s *sessions) lose() { *s = sessions{unseen: 2} }

// follow takes in a record, and gives a kind and detail if it does not fit the sessions before.
func (s *sessions) follow(p Payload) (FaultKind, string) {
	switch p.Type {
	case SessionOpened:
		return s.open(&s.named, p.Session)
	case EmergencyOpened:
		return s.open(&s.emergency, p.Session)
	case SessionHandedOver:
		if kind, detail := s.end(p.From.Session); kind != "" {
			return kind, detail
		}
		return s.open(&s.named, p.Session)
	case SessionClosed:
		return s.end(p.Session)
	case SessionExtended:
		if p.Session != s.named && p.Session != s.emergency && s.unseen == 0 {
			return FaultNotOpen, fmt.Sprintf("session %s is not open", p.Session)
		}
	case JournalDegraded, JournalRecovered:
		if p.Journal.Dropped > 0 {
			s.lose()
		}
	}
	return "", ""
}

func (s *sessions) open(slot *SessionID, id SessionID) (FaultKind, string) {
	if *slot != "" {
		return FaultOverlap, fmt.Sprintf("session %s opens while %s is open", id, *slot)
	}
	*slot = id
	return "", ""
}

func (s *sessions) end(id SessionID) (FaultKind, string) {
	switch {
	case id == s.named:
		s.named = ""
	case id == s.emergency:
		s.emergency = ""
	case s.unseen > 0:
		s.unseen--
	default:
		return FaultNotOpen, fmt.Sprintf("session %s is not open", id)
	}
	return "", ""
}
