package broker

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/proto/grant"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// listen opens the station's command stream, and gives the sessions that the broker ends.
func (s *hmi) listen() <-chan string {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	s.t.Cleanup(cancel)
	stream, err := s.client.StreamCommands(ctx)
	s.must(err)
	s.must(stream.Send(&taplinev1.StreamCommandsRequest{What: &taplinev1.StreamCommandsRequest_Beat{Beat: &taplinev1.StationBeat{Chain: s.keys.chain}}}))
	ended := make(chan string, 16)
	first, err := stream.Recv() // the line stands
	s.must(err)
	var reading errgroup.Group
	reading.Go(func() error {
		defer close(ended)
		for m := first; err == nil; m, err = stream.Recv() {
			if e := m.GetEndSession(); e != nil {
				ended <- e.GetSession()
			}
		}
		return nil
	})
	s.t.Cleanup(func() { cancel(); s.must(reading.Wait()) })
	return ended
}

// endsWithin wants a session to be ended at the station in time.
func (s *hmi) endsWithin(d time.Duration, ended <-chan string, session string) {
	s.t.Helper()
	late := time.NewTimer(d)
	defer late.Stop()
	for {
		select {
		case got, ok := <-ended:
			if !ok {
				s.t.Fatal("the command stream ended")
			}
			if got == session {
				return
			}
		case <-late.C:
			s.t.Fatalf("session %s was not ended within %s", session, d)
		}
	}
}

// refusedWith wants a tap to be refused, and the bundle to say the same.
func (s *hmi) refusedWith(badge []byte, want taplinev1.RefusalCause) {
	s.t.Helper()
	if r := s.open(tap(badge)); r.GetDecision().GetAllowed() || r.GetDecision().GetRefusal() != want {
		s.t.Errorf("the next tap: %v, want %v", r.GetDecision(), want)
	}
	s.until("the bundle grants the badge no more", func() bool {
		for _, g := range s.grants() {
			if g.Badge == grant.Ref(s.identity.GetBadgeKey(), badge) {
				return g.Refusal != ""
			}
		}
		return true
	})
}

// grants are what the station's current bundle says.
func (s *hmi) grants() []grant.Grant {
	s.t.Helper()
	r, err := s.client.FetchBundle(s.t.Context(), &taplinev1.FetchBundleRequest{})
	s.must(err)
	e, err := record.ParseEnvelope(r.GetBundle())
	s.must(err)
	var b grant.Bundle
	s.must(record.OpenStatement(e, grant.PayloadType, s.evidenceKey(), &b))
	return b.Grants
}

func (p *plant) importCSV(req *taplinev1.ImportDirectoryRequest) *taplinev1.ImportDirectoryResponse {
	p.t.Helper()
	r, err := p.admin.ImportDirectory(p.t.Context(), req)
	p.must(err)
	return r
}

// inTime is how soon a leaver's badge is dead at a station on the line.
const inTime = 5 * time.Second

func TestALeaversBadgeIsDeadAtConnectedStations(t *testing.T) {
	for says, leave := range map[string]struct {
		do   func(p *plant, badge *taplinev1.Badge)
		want taplinev1.RefusalCause
	}{
		"a person who is suspended": {func(p *plant, _ *taplinev1.Badge) {
			_, err := p.admin.PutPerson(p.t.Context(), &taplinev1.PutPersonRequest{Person: &taplinev1.PersonEntry{Id: "p-2", Suspended: true}})
			p.must(err)
		}, taplinev1.RefusalCause_REFUSAL_CAUSE_PERSON_INACTIVE},
		"a person who is deleted": {func(p *plant, _ *taplinev1.Badge) {
			_, err := p.admin.DeletePerson(p.t.Context(), &taplinev1.DeletePersonRequest{Id: "p-2"})
			p.must(err)
		}, taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE},
		"a badge that is revoked": {func(p *plant, b *taplinev1.Badge) {
			_, err := p.admin.RevokeBadge(p.t.Context(), &taplinev1.RevokeBadgeRequest{Id: b.GetId(), Reason: "stolen"})
			p.must(err)
		}, taplinev1.RefusalCause_REFUSAL_CAUSE_BADGE_REVOKED},
		"a person whom the next file does not have": {func(p *plant, _ *taplinev1.Badge) {
			p.importCSV(&taplinev1.ImportDirectoryRequest{Csv: []byte("id,badge\np-9,04FFFFFF\np-2,04D4E5F6\n")}) // p-2 is an administrator's: a conflict
			_, err := p.admin.PutPerson(p.t.Context(), &taplinev1.PutPersonRequest{Person: &taplinev1.PersonEntry{Id: "p-2", Source: "csv", Roles: []string{"operator"}}})
			p.must(err)
			r := p.importCSV(&taplinev1.ImportDirectoryRequest{
				Csv: []byte("id,badge\np-9,04FFFFFF\n"), Leavers: taplinev1.ImportLeavers_IMPORT_LEAVERS_SUSPEND,
			})
			if r.GetLeft() != 1 {
				p.t.Errorf("got %v", r)
			}
		}, taplinev1.RefusalCause_REFUSAL_CAUSE_BADGE_REVOKED},
	} {
		t.Run(says, func(t *testing.T) {
			p := newPlant(t)
			p.staff()
			badge := p.hire("p-2", "Ben C.", ben())
			s := p.enrol(press)
			ended := s.listen()
			req := tap(ben())
			if r := s.open(req); !r.GetDecision().GetAllowed() {
				t.Fatalf("got %v", r)
			}
			leave.do(p, badge)
			s.endsWithin(inTime, ended, req.GetSession())
			s.refusedWith(ben(), leave.want)
			if r := s.open(tap(anna())); !r.GetDecision().GetAllowed() {
				t.Errorf("who stays: %v", r)
			}
		})
	}
}

func TestAFileIsTakenWholeOrNotAtAll(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	bad := p.importCSV(&taplinev1.ImportDirectoryRequest{Csv: []byte("id,shifts,badge\np-7,,04D4E5F6\np-8,nights,04A1B2C4\np-1,,04A1B2C5\n")})
	if len(bad.GetFaults()) != 2 || bad.GetFaults()[0].GetLine() != 3 || bad.GetFaults()[0].GetColumn() != "shifts" || bad.GetFaults()[1].GetLine() != 4 {
		t.Errorf("got %v", bad.GetFaults())
	}
	if r := s.open(tap(ben())); r.GetDecision().GetAllowed() {
		t.Error("something of a file with faults was taken")
	}
	good := &taplinev1.ImportDirectoryRequest{Csv: []byte("id;display_name;badge\np-7;Dora;04D4E5F6\n"), DryRun: true}
	if r := p.importCSV(good); r.GetAdded() != 1 || len(r.GetChanges()) != 1 || r.GetChanges()[0].GetPerson() != "p-7" {
		t.Errorf("a dry run: %v", r)
	}
	if r := s.open(tap(ben())); r.GetDecision().GetAllowed() {
		t.Error("a dry run changed something")
	}
	good.DryRun = false
	p.importCSV(good)
	if r := s.open(tap(ben())); !r.GetDecision().GetAllowed() || r.GetPerson().GetDisplayName() != "Dora" {
		t.Errorf("got %v", r)
	}
}

func TestAFileThatWouldEmptyThePlantIsHeld(t *testing.T) {
	p := newPlant(t)
	var file strings.Builder
	file.WriteString("id,badge\n")
	for i := range 200 {
		fmt.Fprintf(&file, "p-%03d,04A1%04X\n", i, i)
	}
	p.importCSV(&taplinev1.ImportDirectoryRequest{Csv: []byte(file.String())})
	short := &taplinev1.ImportDirectoryRequest{Csv: []byte("id,badge\np-000,04A10000\n"), Leavers: taplinev1.ImportLeavers_IMPORT_LEAVERS_SUSPEND}
	_, err := p.admin.ImportDirectory(t.Context(), short)
	refused(t, err, wire.Precondition, "199 people would lose their access")
	short.DryRun = true
	if r := p.importCSV(short); r.GetHeld() == "" || r.GetLeft() != 199 {
		t.Errorf("a dry run: held %q, %d left", r.GetHeld(), r.GetLeft())
	}
	short.DryRun, short.Force = false, true
	if r := p.importCSV(short); r.GetLeft() != 199 {
		t.Errorf("forced: %d left", r.GetLeft())
	}
}
