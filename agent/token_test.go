package agent

import (
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"tapline/agent/token"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func TestATokenSaysWhoIsHereAndIsARecord(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	if _, err := p.local.IssueToken(t.Context(), &taplinev1.IssueTokenRequest{Audience: "mes"}); wire.KindOf(err) != wire.Precondition {
		t.Errorf("nobody is here: %v", err)
	}
	if _, err := p.local.IssueToken(t.Context(), &taplinev1.IssueTokenRequest{}); wire.KindOf(err) != wire.Invalid {
		t.Errorf("for nobody: %v", err)
	}
	who := p.tap("left", "ann")
	keys, err := p.local.GetTokenKeys(t.Context(), &taplinev1.GetTokenKeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := p.local.IssueToken(t.Context(), &taplinev1.IssueTokenRequest{Audience: "mes"})
	if err != nil {
		t.Fatal(err)
	}
	says, err := token.Check([]byte(keys.GetJwks()), first.GetToken(), "mes", pressName, time.Now())
	if err != nil || says.Person != "p-ann" || says.Session != who.GetSession() || says.Name != "" || says.Mode != "attribute" {
		t.Errorf("says %+v, %v", says, err)
	}
	named, err := p.local.IssueToken(t.Context(), &taplinev1.IssueTokenRequest{Audience: "mes", WithName: true})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := token.Check([]byte(keys.GetJwks()), named.GetToken(), "mes", "", time.Now()); err != nil || again.Name != "ANN" || again.ID == says.ID {
		t.Errorf("the second says %+v, %v", again, err)
	}
	p.stop()
	digest := record.Hash(sha256.Sum256([]byte(first.GetToken())))
	found := false
	for b, err := range p.agent.journal.Entries(1) {
		if err != nil {
			break
		}
		entry, err := record.ReadEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		if a := entry.Payload.Action; a != nil && a.Digest == digest {
			found = a.Application == "mes" && a.Name == tokenAction && a.Meaning == "" && entry.Payload.Person == "p-ann"
		}
	}
	if !found && !slices.Contains(p.story(), "operator.action") {
		t.Error("no record says that the token was made")
	}
	p.start() // the key outlives the agent
	if after, err := p.local.GetTokenKeys(t.Context(), &taplinev1.GetTokenKeysRequest{}); err != nil || after.GetJwks() != keys.GetJwks() {
		t.Errorf("after a restart the keys are %v, %v", after, err)
	}
}

func TestWhoGetsTokens(t *testing.T) {
	c := TokensConfig{Audiences: []AudienceConfig{{Name: "mes"}, {Name: "erp", Users: []string{"4711", "root"}}}}
	for _, row := range []struct {
		audience string
		uid      int
		want     bool
	}{{"mes", 1000, true}, {"mes", -1, true}, {"erp", 4711, true}, {"erp", 0, true}, {"erp", 1000, false}, {"erp", -1, false}, {"other", 0, false}, {"", 0, false}} {
		if got := c.may(row.audience, row.uid); got != row.want {
			t.Errorf("%q for %d: %v", row.audience, row.uid, got)
		}
	}
	if faults := (TokensConfig{Audiences: []AudienceConfig{{}, {Name: "a"}, {Name: "a"}}}).check(); len(faults) != 2 {
		t.Errorf("faults: %v", faults)
	}
}

func TestAProgramThatAsksInALoopIsSlowedDown(t *testing.T) {
	m, now := &mint{}, time.Unix(1e9, 0)
	for i := range tokensInAMinute {
		if err := m.room(now.Add(time.Duration(i) * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.room(now.Add(time.Second)); wire.KindOf(err) != wire.Busy || wire.RetryAfter(err) != 59*time.Second {
		t.Errorf("one too many: %v", err)
	}
	if err := m.room(now.Add(time.Minute)); err != nil {
		t.Error(err)
	}
}
