package session

import (
	"tapline/proto/record"
	"tapline/reader"
)

// second is a person who has to be there as long as the session lasts.
type second struct {
	person Person
	badge  Badge
	reader reader.Name
}

// notEnough is the answer to a second badge that does not help: the tap that waited is refused, and the second badge is asked about as a tap of its own, so
// that nobody who only wants to work is kept from it by somebody else's tap.
func (s *step) notEnough(a Answer) {
	other := *s.held.second
	s.giveUp(a)
	if s.queued == nil {
		s.queued = &other
		return
	}
	s.refuse(other, nil, Answer{Refusal: Overtaken})
}

// secondOf is what a record says of the second person.
func secondOf(h *held, a Answer) *record.Second {
	if h == nil || h.second == nil {
		return nil
	}
	return &record.Second{Person: a.Second.ID, Part: h.part, Badge: badgeOf(*h.second, nil)}
}

// coPresent is the second person who stays; nil for none, and for one who only approved.
func coPresent(h *held, a Answer) *second {
	if h == nil || h.second == nil || h.part != record.CoPresent {
		return nil
	}
	return &second{person: a.Second, badge: h.second.Badge, reader: h.second.Reader}
}

// isHere reports whose badge it is of those who are at the station: of the person, or of the second one.
func (o open) isHere(ref record.BadgeRef) (here Person, leaves record.Reason, ok bool) {
	switch {
	case o.id == "":
		return Person{}, "", false
	case ref == o.badge.Ref:
		return o.person, TapOutCause, true
	case o.second != nil && ref == o.second.badge.Ref:
		return o.second.person, SecondLeft, true
	}
	return Person{}, "", false
}
