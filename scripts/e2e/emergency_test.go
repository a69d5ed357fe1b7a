//go:build linux

package e2e

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tapline/installer/osservice"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/scripts/rig"
)

// desk is what people type at one station of a plant.
type desk struct {
	t *testing.T
	p *rig.Plant
	s *rig.Station
}

// types runs tapagent with a line on its standard input, and gives what it printed.
func (d desk) types(line string, args ...string) (string, error) {
	d.t.Helper()
	return d.p.RunWith(within(d.t, 20*time.Second), []byte(line+"\n"), "tapagent", append(args, "--config", d.s.Config())...)
}

// agent is types for what must go well and asks for nothing.
func (d desk) agent(args ...string) string {
	d.t.Helper()
	out, err := d.types("", args...)
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

// emergency is one line of `tapagent emergency list`.
type emergency struct {
	ID      string `json:"id"`
	Reason  string `json:"reason"`
	InForce bool   `json:"in_force"`
	Missing int    `json:"missing"`
}

func (d desk) emergencies() (list []emergency) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(d.agent("emergency", "list", "-o", "json")), &list); err != nil {
		d.t.Fatal(err)
	}
	return list
}

// told is what the broker lists: one line for each emergency, "ID REASON ENDED-BY CLAIMED-BY".
func (d desk) told(flags ...string) (lines []string) {
	d.t.Helper()
	var list []struct {
		Emergency, Reason string
		EndedBy           string `json:"ended_by"`
		Claims            []struct{ Person string }
	}
	if err := d.p.CtlJSON(d.t.Context(), &list, append([]string{"emergency", "list"}, flags...)...); err != nil {
		d.t.Fatal(err)
	}
	for _, e := range list {
		line := e.Emergency + " " + e.Reason + " " + e.EndedBy
		for _, c := range e.Claims {
			line += " " + c.Person
		}
		lines = append(lines, line)
	}
	return lines
}

// sign has the person at the station sign for a file with a PIN, and gives the record.
func (d desk) sign(pin, file, meaning string) (record.Payload, error) {
	d.t.Helper()
	out, err := d.types(pin, "sign", "--file", file, "--meaning", meaning, "--application", "mes", "--name", "batch-release")
	if err != nil {
		return record.Payload{}, err
	}
	e, err := record.ReadEntry(bytes.TrimSpace([]byte(out)))
	return e.Payload, err
}

func (d desk) tap(reader int, who rig.Person, wanted func(rig.Seen) bool) {
	d.t.Helper()
	if _, err := d.s.Tap(within(d.t, 20*time.Second), reader, who.UID, wanted); err != nil {
		d.t.Fatal(err)
	}
}

// must ends the test with an error.
func (d desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// An emergency from the press to the second claim, as the plant lives it: Anna is at work when somebody opens the station; the broker goes away and the agent is
// killed while it is open; Ben's tap ends it, and he and Anna answer for it. Then Ben signs, without the broker and with it, and an application gets a token.
func TestAnEmergencyItsClaimsAndSignaturesThroughTheProgrammes(t *testing.T) {
	p, s, crew := staffed(t, 2, "Reader A", "Reader B")
	d, ctx, anna, ben := desk{t, p, s}, within(t, 2*time.Minute), crew[0], crew[1]
	before, err := s.Status(ctx)
	d.must(err)
	_, err = p.RunWith(ctx, []byte(pins[1]+"\n"), "tapctl", "--identity", p.Identity(), "person", "pin", ben.ID)
	d.must(err)
	d.must(s.AwaitStatus(ctx, func(now *taplinev1.GetStatusResponse) bool { // the grants hold his PIN
		return now.GetBundle().GetSequence() > before.GetBundle().GetSequence()
	}))

	d.tap(0, anna, rig.Named(anna.ID))
	if got := d.told(); len(got) != 0 {
		t.Errorf("before anything the broker lists %q", got)
	}
	mark := s.Mark()
	said := d.agent("emergency", "begin", "--reason", "jam")
	_, err = s.Await(ctx, mark, func(n rig.Seen) bool {
		return n.Presence.GetState() == taplinev1.PresenceState_PRESENCE_STATE_EMERGENCY
	})
	d.must(err)
	list := d.emergencies()
	if len(list) != 1 || list[0].Reason != "jam" || !list[0].InForce || list[0].Missing != 2 || !strings.Contains(said, list[0].ID) {
		t.Fatalf("begun: %q, and the station lists %+v", said, list)
	}
	id := list[0].ID
	d.must(s.AwaitDrained(ctx))
	if got := d.told(); !slices.Equal(got, []string{id + " jam "}) {
		t.Errorf("in force, and the broker lists %q", got)
	}
	file := filepath.Join(t.TempDir(), "batch-4711.txt")
	d.must(os.WriteFile(file, []byte("batch 4711\n"), 0o600))
	_, err = d.sign(pins[1], file, "released")
	refused(t, err, osservice.Refused, "nobody is here")

	d.must(p.Broker.Kill())
	d.must(s.AwaitBroker(ctx, false))
	d.must(s.Agent.Kill())
	config, err := os.ReadFile(s.Config())
	d.must(err)
	d.must(os.WriteFile(s.Config(), append(config, "session:\n  bounce: 100ms\n"...), 0o600)) // Ben taps again at once
	d.must(s.Start(ctx))
	if got := d.emergencies(); !slices.Equal(got, list) {
		t.Errorf("after a kill the station lists %+v, want %+v", got, list)
	}
	d.tap(0, ben, rig.Named(ben.ID))
	d.agent("emergency", "claim", "--note", "jam at the infeed")
	claims := func(reader int, who rig.Person, wanted taplinev1.NoticeKind) {
		t.Helper()
		d.tap(reader, who, func(n rig.Seen) bool {
			return n.Notice.GetKind() == wanted && n.Presence.GetPerson().GetId() == ben.ID
		})
	}
	claims(1, ben, taplinev1.NoticeKind_NOTICE_KIND_CLAIM_TAP) // one more must
	claims(0, anna, taplinev1.NoticeKind_NOTICE_KIND_CLAIMED)
	if got := d.emergencies(); len(got) != 0 {
		t.Errorf("after two claims the station lists %+v", got)
	}

	d.signs(file, ben)
	if got := d.told(); len(got) != 0 {
		t.Errorf("after two claims the broker lists %q", got)
	}
	if got := d.told("--all"); !slices.Equal(got, []string{id + " jam tap-in " + ben.ID + " " + anna.ID}) {
		t.Errorf("of all emergencies the broker lists %q", got)
	}
	verify(t, p, s.Journal())
	evidence := export(t, p)
	verify(t, p, evidence)
	d.story(anna, ben)
	d.accounts(evidence, file, anna, ben)
}

// signs has the one who is here sign while the broker is away, then with it, and has a token made in their name.
func (d desk) signs(file string, who rig.Person) {
	d.t.Helper()
	_, err := d.sign(pins[0], file, "released")
	refused(d.t, err, osservice.Refused, "the pin is wrong")
	wanted := record.Hash(sha256.Sum256([]byte("batch 4711\n")))
	check := func(meaning, by string, factors ...string) {
		d.t.Helper()
		got, err := d.sign(pins[1], file, meaning)
		d.must(err)
		if got.Type != record.OperatorAction || string(got.Person) != who.ID || got.Action.Digest != wanted || got.Action.Meaning != meaning ||
			got.Decision.By != by || !slices.Equal(got.Badge.Factors, factors) {
			d.t.Errorf("%s signed %+v, %+v by %+v with %+v", got.Person, got.Type, got.Action, got.Decision, got.Badge)
		}
	}
	check("released", "bundle", "badge", "pin")
	d.must(d.p.StartBroker(d.t.Context()))
	d.must(d.s.AwaitDrained(d.t.Context()))
	check("reviewed", "broker", "pin")
	_, err = d.sign(pins[0], file, "reviewed")
	refused(d.t, err, osservice.Refused, "the pin is wrong")

	const audience = "mes.plant.example"
	token, keys := strings.TrimSpace(d.agent("token", "issue", audience)), filepath.Join(d.t.TempDir(), "keys.jwks")
	set := d.agent("token", "keys")
	d.must(os.WriteFile(keys, []byte(set), 0o600))
	believes := func(audience string) (string, error) {
		return d.p.RunWith(d.t.Context(), []byte(token+"\n"), "tapagent", "token", "verify", "--keys", keys, "--audience", audience)
	}
	if out, err := believes(audience); err != nil || !strings.Contains(out, who.ID) || !strings.Contains(out, press) {
		d.t.Errorf("its audience reads %q, %v", out, err)
	}
	if _, err := believes("erp.plant.example"); err == nil {
		d.t.Error("another audience believes it")
	}
	if sub, good := byHand(d.t, token, set); !good || sub != who.ID {
		d.t.Errorf("by hand the token of %q is good: %t", sub, good)
	}
	d.must(d.s.AwaitDrained(d.t.Context()))
}

// byHand checks a token with nothing of ours and no library of tokens: RFC 7515 and RFC 8037.
func byHand(t *testing.T, token, jwks string) (sub string, good bool) {
	t.Helper()
	var set struct{ Keys []struct{ X string } }
	var claims struct{ Sub string }
	part := strings.Split(token, ".")
	if err := json.Unmarshal([]byte(jwks), &set); err != nil || len(part) != 3 || len(set.Keys) != 1 {
		t.Fatalf("%v: token %q, keys %q", err, token, jwks)
	}
	var plain [3][]byte
	for i, text := range []string{set.Keys[0].X, part[1], part[2]} {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		plain[i] = b
	}
	if err := json.Unmarshal(plain[1], &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Sub, ed25519.Verify(plain[0], []byte(part[0]+"."+part[1]), plain[2])
}

// story holds what the journal says against what happened.
func (d desk) story(anna, ben rig.Person) {
	d.t.Helper()
	var story []string
	for _, r := range records(d.t, d.s.Journal()) {
		pl := r.payload
		line := strings.Join(strings.Fields(string(pl.Type)+" "+string(pl.Person)+" "+string(pl.Reason)), " ")
		switch pl.Type {
		case record.SessionOpened, record.SessionClosed, record.EmergencyOpened, record.TapRefused:
		case record.EmergencyClaimed:
			line += " " + pl.Claim.Note
		case record.OperatorAction:
			line += " " + pl.Action.Name + " " + pl.Action.Meaning
		default:
			continue
		}
		story = append(story, strings.TrimSpace(line))
	}
	want := []string{
		"session.opened " + anna.ID, "emergency.opened jam", "session.closed " + anna.ID + " emergency",
		"session.opened " + ben.ID, "session.closed tap-in",
		"emergency.claimed " + ben.ID + " jam at the infeed", "emergency.claimed " + anna.ID + " jam at the infeed",
		"operator.action " + ben.ID + " batch-release released", "operator.action " + ben.ID + " batch-release reviewed", "operator.action " + ben.ID + " token-issued",
	}
	if !slices.Equal(story, want) {
		d.t.Errorf("the journal says\n%s\nwant\n%s", strings.Join(story, "\n"), strings.Join(want, "\n"))
	}
}

// accounts asks the auditor's tool who signed for the file, and who answered for the emergency.
func (d desk) accounts(evidence, file string, anna, ben rig.Person) {
	d.t.Helper()
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"actions", "--file", file}, "[" + ben.ID + " released badge+pin bundle][" + ben.ID + " reviewed pin broker]"},
		{[]string{"emergencies"}, "[jam tap-in 0 missing " + ben.ID + " " + anna.ID + "]"},
		{[]string{"emergencies", "--unclaimed"}, ""},
	} {
		out, err := d.p.Run(d.t.Context(), "tapaudit", append(row.args, evidence, "-o", "json")...)
		d.must(err)
		got := ""
		for line := range strings.Lines(out) {
			var r struct {
				Person, Meaning, Reason string
				Factors                 []string
				By                      string `json:"decided_by"`
				Ended                   string `json:"ended_by"`
				Missing                 int
				Claims                  []struct{ Person string }
			}
			d.must(json.Unmarshal([]byte(line), &r))
			if r.Person != "" {
				got += "[" + r.Person + " " + r.Meaning + " " + strings.Join(r.Factors, "+") + " " + r.By + "]"
				continue
			}
			got += fmt.Sprintf("[%s %s %d missing", r.Reason, r.Ended, r.Missing)
			for _, c := range r.Claims {
				got += " " + c.Person
			}
			got += "]"
		}
		if got != row.want {
			d.t.Errorf("tapaudit %s says %s, want %s", strings.Join(row.args, " "), got, row.want)
		}
	}
}
