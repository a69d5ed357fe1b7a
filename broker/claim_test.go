package broker

import (
	"strings"
	"testing"
	"time"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// unknown taps a badge that nobody has, and gives its code.
func (s *hmi) unknown(badge []byte) string {
	s.t.Helper()
	r := s.open(tap(badge))
	if r.GetDecision().GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE {
		s.t.Fatalf("got %v", r)
	}
	return r.GetDecision().GetHelpCode()
}

// opened opens a session and gives its ID.
func (s *hmi) opened(badge []byte) string {
	s.t.Helper()
	req := tap(badge)
	if r := s.open(req); !r.GetDecision().GetAllowed() {
		s.t.Fatalf("got %v", r)
	}
	return req.GetSession()
}

func (s *hmi) claim(req *taplinev1.RequestBadgeRequest) (*taplinev1.RequestBadgeResponse, error) {
	return s.client.RequestBadge(s.t.Context(), req)
}

func (p *plant) decide(id string, approve bool) (*taplinev1.DecideBadgeRequestResponse, error) {
	return p.admin.DecideBadgeRequest(p.t.Context(), &taplinev1.DecideBadgeRequestRequest{Id: id, Approve: approve, Label: "new"})
}

func (p *plant) pin(person, pin string) {
	p.t.Helper()
	_, err := p.admin.SetPin(p.t.Context(), &taplinev1.SetPinRequest{Person: person, Pin: pin})
	p.must(err)
}

func fresh() []byte { return []byte("uid\x0032\x00\x04\x00\x00\x09") }

func TestAnUnknownBadgeIsAskedForAtTheStation(t *testing.T) {
	for says, show := range map[string]func(p *plant, s *hmi) *taplinev1.RequestBadgeRequest{
		"by a badge": func(_ *plant, s *hmi) *taplinev1.RequestBadgeRequest {
			code := s.unknown(fresh())
			return &taplinev1.RequestBadgeRequest{Code: code, Session: s.opened(anna())}
		},
		"by a PIN": func(p *plant, s *hmi) *taplinev1.RequestBadgeRequest {
			p.pin("p-1", "4711")
			return &taplinev1.RequestBadgeRequest{Code: s.unknown(fresh()), Person: "p-1", Pin: "4711"}
		},
	} {
		t.Run(says, func(t *testing.T) {
			p := newPlant(t)
			p.staff()
			s := p.enrol(press)
			req := show(p, s)
			asked, err := s.claim(req)
			p.must(err)
			if asked.GetApproved() || asked.GetPerson() != "p-1" {
				t.Errorf("got %v", asked)
			}
			again, err := s.claim(req)
			p.must(err)
			if again.GetRequest() != asked.GetRequest() {
				t.Error("the same request again is another one")
			}
			s.unknown(fresh())
			open, err := p.admin.ListBadgeRequests(t.Context(), &taplinev1.ListBadgeRequestsRequest{OpenOnly: true})
			p.must(err)
			if len(open.GetRequests()) != 1 || open.GetRequests()[0].GetState() != "open" {
				t.Fatalf("got %v", open)
			}
			done, err := p.decide(asked.GetRequest(), true)
			p.must(err)
			if done.GetRequest().GetState() != "approved" || done.GetRequest().GetDecidedBy() != "local" || done.GetRequest().GetBadge() == "" {
				t.Errorf("got %v", done)
			}
			s.opens(fresh(), "p-1")
			_, err = p.decide(asked.GetRequest(), false)
			refused(t, err, wire.Precondition, "approved before")
		})
	}
}

func TestARequestThatIsRefusedGivesNothing(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	asked, err := s.claim(&taplinev1.RequestBadgeRequest{Code: s.unknown(fresh()), Session: s.opened(anna())})
	p.must(err)
	_, err = p.decide(asked.GetRequest(), false)
	p.must(err)
	s.unknown(fresh())
	_, err = p.decide(asked.GetRequest(), true)
	refused(t, err, wire.Precondition, "refused before")
}

func TestWhoDoesNotShowWhoTheyAreGetsNoBadge(t *testing.T) {
	p := newPlant(t)
	p.staff()
	p.hire("p-2", "Ben C.", ben())
	p.pin("p-1", "4711")
	_, err := p.admin.PutAccount(t.Context(), &taplinev1.PutAccountRequest{Account: &taplinev1.Account{Id: account, Driver: "none", Capacity: 2, Stations: []string{"plant/"}}})
	p.must(err)
	here, there := p.enrol(press), p.enrol(packing)
	early := here.opened(anna())
	code := here.unknown(fresh())
	elsewhere := there.opened(ben())
	for says, row := range map[string]struct {
		by   *hmi
		req  *taplinev1.RequestBadgeRequest
		kind wire.Kind
		text string
	}{
		"nobody":                         {here, &taplinev1.RequestBadgeRequest{Code: code}, wire.Invalid, "give one of them"},
		"a person without a PIN":         {here, &taplinev1.RequestBadgeRequest{Code: code, Person: "p-1"}, wire.Invalid, "pin"},
		"a wrong PIN":                    {here, &taplinev1.RequestBadgeRequest{Code: code, Person: "p-1", Pin: "0000"}, wire.Denied, "do not match"},
		"a person who is not there":      {here, &taplinev1.RequestBadgeRequest{Code: code, Person: "p-0", Pin: "4711"}, wire.Denied, "do not match"},
		"a person who has no PIN":        {here, &taplinev1.RequestBadgeRequest{Code: code, Person: "p-2", Pin: "4711"}, wire.Denied, "do not match"},
		"a session from before":          {here, &taplinev1.RequestBadgeRequest{Code: code, Session: early}, wire.Denied, "after the unknown one"},
		"a session of another station":   {here, &taplinev1.RequestBadgeRequest{Code: code, Session: elsewhere}, wire.Denied, "not in force"},
		"a session that never was":       {here, &taplinev1.RequestBadgeRequest{Code: code, Session: "s"}, wire.Denied, "not in force"},
		"a code of another station":      {there, &taplinev1.RequestBadgeRequest{Code: code, Session: elsewhere}, wire.NotFound, "no tap"},
		"a code that never was":          {here, &taplinev1.RequestBadgeRequest{Code: "AAAAAA", Person: "p-1", Pin: "4711"}, wire.NotFound, "no tap"},
		"a code as long as a book":       {here, &taplinev1.RequestBadgeRequest{Code: strings.Repeat("x", 4096), Person: "p-1", Pin: "4711"}, wire.Invalid, "code"},
		"a person as long as a book":     {here, &taplinev1.RequestBadgeRequest{Code: code, Person: strings.Repeat("x", 4096), Pin: "4711"}, wire.Invalid, "longer than"},
		"somebody who shows it both way": {here, &taplinev1.RequestBadgeRequest{Code: code, Person: "p-1", Pin: "4711", Session: early}, wire.Invalid, "give one of them"},
	} {
		t.Run(says, func(t *testing.T) {
			_, err := row.by.claim(row.req)
			refused(t, err, row.kind, row.text)
		})
	}
	here.unknown(fresh())
}

func TestRequestsAreThrottledAndEnd(t *testing.T) {
	p := newPlant(t)
	p.staff()
	p.pin("p-1", "4711")
	s := p.enrol(press)
	ask := func(n byte) (*taplinev1.RequestBadgeResponse, error) {
		return s.claim(&taplinev1.RequestBadgeRequest{Code: s.unknown([]byte("uid\x0032\x00\x04\x00\x01" + string(n))), Person: "p-1", Pin: "4711"})
	}
	var first string
	for n := range byte(5) {
		r, err := ask(n)
		p.must(err)
		first = r.GetRequest()
	}
	_, err := ask(5)
	refused(t, err, wire.Busy, "too many requests")
	p.clock.advance(25 * time.Hour)
	_, err = p.decide(first, true)
	refused(t, err, wire.Precondition, "expired")
	if _, err := ask(6); err != nil {
		t.Errorf("a day later: %v", err)
	}
	code := s.unknown(fresh())
	p.clock.advance(16 * time.Minute)
	_, err = s.claim(&taplinev1.RequestBadgeRequest{Code: code, Person: "p-1", Pin: "4711"})
	refused(t, err, wire.Precondition, "ago")
}

func TestWrongPINsOfARequestAreThrottledAsAtATap(t *testing.T) {
	p := newPlant(t)
	p.staff()
	p.pin("p-1", "4711")
	s := p.enrol(press)
	code := s.unknown(fresh())
	for range 5 {
		_, err := s.claim(&taplinev1.RequestBadgeRequest{Code: code, Person: "p-1", Pin: "0000"})
		refused(t, err, wire.Denied, "do not match")
	}
	_, err := s.claim(&taplinev1.RequestBadgeRequest{Code: code, Person: "p-1", Pin: "4711"})
	refused(t, err, wire.Busy, "too many wrong PINs")
}

func TestABadgeThatIsNoBetterIsGivenAtOnceIfTheConfigurationSaysSo(t *testing.T) {
	p := newPlantWith(t, func(c *Config) { c.AutoApproveBadges = true })
	p.staff()
	p.pin("p-1", "4711")
	s := p.enrol(press)
	r, err := s.claim(&taplinev1.RequestBadgeRequest{Code: s.unknown(fresh()), Session: s.opened(anna())})
	p.must(err)
	if !r.GetApproved() {
		t.Errorf("got %v", r)
	}
	s.opens(fresh(), "p-1")
	better := tap([]byte("uid\x0032\x00\x04\x00\x00\x0a"))
	better.Badge.Assurance = taplinev1.Assurance_ASSURANCE_SYMMETRIC_PROOF
	r, err = s.claim(&taplinev1.RequestBadgeRequest{Code: s.open(better).GetDecision().GetHelpCode(), Session: s.opened(anna())})
	p.must(err)
	if r.GetApproved() {
		t.Error("a better badge was given for a weaker one")
	}
	r, err = s.claim(&taplinev1.RequestBadgeRequest{Code: s.unknown([]byte("uid\x0032\x00\x04\x00\x00\x0b")), Person: "p-1", Pin: "4711"})
	p.must(err)
	if r.GetApproved() {
		t.Error("a badge was given for a PIN alone")
	}
}

func TestRefusedTapsAreListedForWhoStandsBeside(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	before, err := p.admin.ListRefusedTaps(t.Context(), &taplinev1.ListRefusedTapsRequest{Station: press, UnknownOnly: true})
	p.must(err)
	code := s.unknown(fresh())
	after, err := p.admin.ListRefusedTaps(t.Context(), &taplinev1.ListRefusedTapsRequest{Station: press, UnknownOnly: true, After: before.GetBrokerTime()})
	p.must(err)
	if len(before.GetTaps()) != 0 || len(after.GetTaps()) != 1 || after.GetTaps()[0].GetCode() != code || after.GetTaps()[0].GetTechnology() != "iso14443a" {
		t.Errorf("got %v, then %v", before, after)
	}
	elsewhere, err := p.admin.ListRefusedTaps(t.Context(), &taplinev1.ListRefusedTapsRequest{Station: packing})
	p.must(err)
	if len(elsewhere.GetTaps()) != 0 {
		t.Errorf("at another station: %v", elsewhere)
	}
	_, err = p.admin.ListRefusedTaps(t.Context(), &taplinev1.ListRefusedTapsRequest{Station: "a/b/c/d"})
	refused(t, err, wire.NotFound, "station")
}

func TestWhoSetThePINDoesNotGiveTheBadgeToo(t *testing.T) {
	p := newPlantWith(t, func(c *Config) { c.TwoPerson = "everyone" })
	p.staff()
	p.clock.advance(25 * time.Hour) // the badge that Anna has was given long ago
	s := p.enrol(press)
	p.pin("p-1", "4711")
	asked, err := s.claim(&taplinev1.RequestBadgeRequest{Code: s.unknown(fresh()), Person: "p-1", Pin: "4711"})
	p.must(err)
	_, err = p.decide(asked.GetRequest(), true)
	refused(t, err, wire.Denied, "both badge and PIN")
	_, err = p.admin.PutPerson(t.Context(), &taplinev1.PutPersonRequest{Person: &taplinev1.PersonEntry{Id: "p-1", Source: "csv", Roles: []string{"operator"}}})
	p.must(err)
	_, err = p.admin.ImportDirectory(t.Context(), &taplinev1.ImportDirectoryRequest{Csv: []byte("id,badge\np-1,04000009\n")})
	refused(t, err, wire.Denied, "both badge and PIN")
	s.unknown(fresh())
	_, err = p.decide(asked.GetRequest(), false)
	p.must(err)
}
