package agent

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// signing is a signature of Ann's, with the PIN that the fake broker takes from anybody.
func signing() *taplinev1.SignActionRequest {
	digest := sha256.Sum256([]byte("batch 4711"))
	return &taplinev1.SignActionRequest{Application: "mes", Name: "batch-release", Meaning: "released", Digest: digest[:], Pin: "1234"}
}

// signed asserts what an envelope holds, and gives it.
func (p *press) signed(envelope []byte) record.Payload {
	p.t.Helper()
	entry, err := record.ReadEntry(envelope)
	if err != nil {
		p.t.Fatal(err)
	}
	return entry.Payload
}

func TestASignatureTakesBadgeAndPINAndIsARecord(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	if _, err := p.local.SignAction(t.Context(), signing()); wire.KindOf(err) != wire.Precondition {
		t.Errorf("nobody is here: %v", err)
	}
	who := p.tap("left", "ann")
	for _, row := range []struct {
		name   string
		change func(*taplinev1.SignActionRequest)
		want   wire.Kind
	}{
		{"no application", func(r *taplinev1.SignActionRequest) { r.Application = "" }, wire.Invalid},
		{"no meaning", func(r *taplinev1.SignActionRequest) { r.Meaning = "" }, wire.Invalid},
		{"a newline in the name", func(r *taplinev1.SignActionRequest) { r.Name = "a\nb" }, wire.Invalid},
		{"half a digest", func(r *taplinev1.SignActionRequest) { r.Digest = r.GetDigest()[:16] }, wire.Invalid},
		{"a digest of nothing", func(r *taplinev1.SignActionRequest) { r.Digest = make([]byte, 32) }, wire.Invalid},
		{"no PIN", func(r *taplinev1.SignActionRequest) { r.Pin = "" }, wire.Invalid},
		{"another session", func(r *taplinev1.SignActionRequest) { r.Session = "0190a1b2-0000-7000-8000-000000000001" }, wire.NotFound},
		{"a wrong PIN", func(r *taplinev1.SignActionRequest) { r.Pin = "4321" }, wire.Denied},
	} {
		req := signing()
		row.change(req)
		if _, err := p.local.SignAction(t.Context(), req); wire.KindOf(err) != row.want {
			t.Errorf("%s: %v, want %s", row.name, err, row.want)
		}
	}
	req := signing()
	req.Session = who.GetSession()
	first, err := p.local.SignAction(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	got := p.signed(first.GetEnvelope())
	if got.Type != record.OperatorAction || got.Person != "p-ann" || string(got.Session) != who.GetSession() || got.Action.Meaning != "released" ||
		got.Action.Digest != record.Hash(req.GetDigest()) || !slices.Equal(got.Badge.Factors, []string{"badge", "pin"}) || got.Decision.By != "broker" {
		t.Errorf("signed: %+v", got)
	}
	if first.GetSigner().GetDisplayName() != "ANN" || !first.GetSignedAt().AsTime().Equal(got.Time.Wall) || first.GetMeaning() != "released" {
		t.Errorf("printed name, time and meaning: %v", first)
	}
	second, err := p.local.SignAction(t.Context(), signing())
	if err != nil {
		t.Fatal(err)
	}
	if got := p.signed(second.GetEnvelope()); !slices.Equal(got.Badge.Factors, []string{"pin"}) {
		t.Errorf("the second signature of the session: %+v", got.Badge)
	}
	p.off()
	p.until("the line is down", func() bool { return !p.agent.line.Connected() })
	if _, err := p.local.SignAction(t.Context(), signing()); wire.KindOf(err) != wire.Precondition {
		t.Errorf("the broker is away and the grants hold no PIN: %v", err)
	}
	p.stop()
	if story := p.story(); !slices.Equal(story, []string{"station.started", "opened p-ann by broker", "operator.action", "operator.action", "closed p-ann: agent-stopped", "station.stopped"}) {
		t.Errorf("story %q", story)
	}
}

func TestAfterTooManyWrongPINsNothingIsSigned(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	p.tap("left", "ann")
	wrong := signing()
	wrong.Pin = "4321"
	var kinds []wire.Kind
	for range 7 {
		_, err := p.local.SignAction(t.Context(), wrong)
		kinds = append(kinds, wire.KindOf(err))
	}
	_, err := p.local.SignAction(t.Context(), signing())
	if kinds[0] != wire.Denied || kinds[6] != wire.Busy || wire.KindOf(err) != wire.Busy || wire.RetryAfter(err) <= 0 {
		t.Errorf("tries: %v, then the right one: %v", kinds, err)
	}
	if strings.Contains(p.log.String(), "4321") {
		t.Error("the log holds a PIN")
	}
}

func TestTheFirstSignatureNeedsABadgeThatWasSeenAMomentAgo(t *testing.T) {
	p := newPress(t)
	p.cfg.Sign.BadgeWithin = time.Nanosecond
	p.start()
	p.connected()
	p.tap("left", "ann")
	if _, err := p.local.SignAction(t.Context(), signing()); wire.KindOf(err) != wire.Precondition {
		t.Errorf("long after the tap: %v", err)
	}
	p.stop()
}

func TestWhatHappensInAnEmergencyIsSignedByNobody(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	who := p.tap("left", "ann")
	p.emergency("jam")
	req := signing()
	if _, err := p.local.SignAction(t.Context(), req); wire.KindOf(err) != wire.Precondition {
		t.Errorf("in an emergency: %v", err)
	}
	req.Session = who.GetSession()
	if _, err := p.local.SignAction(t.Context(), req); wire.KindOf(err) != wire.NotFound {
		t.Errorf("in Ann's name: %v", err)
	}
}
