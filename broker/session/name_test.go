package session_test

import (
	"testing"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/record"
	"tapline/proto/wire"
)

func TestABadgeIsNamedWithoutASession(t *testing.T) {
	p := newPlant(t)
	for _, row := range []struct {
		badge, person, refusal string
	}{{annas, "p-1", ""}, {"uid\x0032\x00\x04\x99\x99\x99", "", "UNKNOWN_BADGE"}} {
		r, err := p.NameBadge(t.Context(), press, &taplinev1.NameBadgeRequest{Badge: proofOf(row.badge)})
		p.must(err)
		want := taplinev1.RefusalCause(taplinev1.RefusalCause_value["REFUSAL_CAUSE_"+row.refusal])
		if d := r.GetDecision(); d.GetAllowed() != (row.refusal == "") || d.GetRefusal() != want || r.GetPerson().GetId() != row.person || d.GetAllowed() == (d.GetHelpCode() != "") {
			t.Errorf("%s: %v", row.badge, r)
		}
	}
	if n := p.held(); n != 0 {
		t.Errorf("%d leases are held", n)
	}
}

func TestAPINIsVerifiedForWhoeverIsAtTheStation(t *testing.T) {
	p := newPlant(t)
	p.pin("p-1", "2468")
	req := tap(annas)
	p.allowed(press, req)
	verify := func(at record.StationID, pin string) (*taplinev1.Decision, error) {
		r, err := p.VerifyPIN(t.Context(), at, &taplinev1.VerifyPinRequest{Session: req.GetSession(), Pin: pin})
		return r.GetDecision(), err
	}
	if d, err := verify(press, "2468"); err != nil || !d.GetAllowed() {
		t.Errorf("the right PIN: %v, %v", d, err)
	}
	_, err := verify(packing, "2468")
	p.fails(err, wire.NotFound)
	for range 5 {
		if d, err := verify(press, "1357"); err != nil || d.GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG {
			t.Errorf("a wrong PIN: %v, %v", d, err)
		}
	}
	if d, err := verify(press, "2468"); err != nil || d.GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_LOCKED || d.GetRetryAfter() == nil {
		t.Errorf("after too many: %v, %v", d, err)
	}
	p.endAll()
	_, err = verify(press, "2468")
	p.fails(err, wire.NotFound)
}
