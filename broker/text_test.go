package broker

import (
	"strings"
	"testing"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// A NUL is refused by its field at single calls and at streams, before any store sees it: PostgreSQL keeps none.
func TestTextWithANULIsRefusedByItsField(t *testing.T) {
	p := newPlant(t)
	s := p.enrol(press)
	_, alarm := p.admin.CloseAlarm(t.Context(), &taplinev1.CloseAlarmRequest{Id: "a", Note: "all\x00well"})
	list, err := p.audit.ListSessions(t.Context(), &taplinev1.ListSessionsRequest{Filter: &taplinev1.RecordFilter{People: []string{"p\x00"}}})
	if err != nil {
		t.Fatal(err)
	}
	_, sessions := list.Recv()
	_, open := s.client.OpenSession(t.Context(), &taplinev1.OpenSessionRequest{Session: "s\x00", Badge: proofOf(anna())})
	for what, err := range map[string]error{"note": alarm, "filter.people": sessions, "session": open} {
		if wire.KindOf(err) != wire.Invalid || !strings.Contains(err.Error(), what+": text holds a NUL") {
			t.Errorf("%s: got %v, want a refusal", what, err)
		}
	}
}
