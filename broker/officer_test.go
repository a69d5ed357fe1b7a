package broker

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// clerk is a person who calls the broker.
type clerk struct {
	admin    taplinev1.AdminServiceClient
	audit    taplinev1.AuditServiceClient
	officers taplinev1.OfficerServiceClient
	identity *taplinev1.OfficerIdentity
}

func officerAt(conn *grpc.ClientConn) *clerk {
	return &clerk{admin: taplinev1.NewAdminServiceClient(conn), audit: taplinev1.NewAuditServiceClient(conn), officers: taplinev1.NewOfficerServiceClient(conn)}
}

func csrOf(t testing.TB, key ed25519.PrivateKey) []byte {
	t.Helper()
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// local is the administrator at the broker's own machine.
func (p *plant) local() *clerk { return officerAt(p.conn) }

// invite makes an invitation in the name of somebody.
func (p *plant) invite(by *clerk, name, role string) wire.Invitation {
	p.t.Helper()
	r, err := by.officers.InviteOfficer(p.t.Context(), &taplinev1.InviteOfficerRequest{Name: name, Role: role})
	p.must(err)
	i, err := wire.ParseInvitation(r.GetSecret())
	p.must(err)
	return i
}

func loginWith(i wire.Invitation, csr []byte) *taplinev1.LoginRequest {
	return &taplinev1.LoginRequest{Csr: csr, Proof: &taplinev1.LoginRequest_Invitation{Invitation: i.Secret}}
}

// door is a connection without a certificate.
func (p *plant) door(root wire.Pin) taplinev1.OfficerServiceClient {
	return taplinev1.NewOfficerServiceClient(p.dial(wire.PinnedTLS(root, p.clock.now)))
}

// appoint invites somebody and logs them in.
func (p *plant) appoint(name, role string) *clerk {
	p.t.Helper()
	i, key := p.invite(p.local(), name, role), newKeys(p.t).tls
	r, err := p.door(i.Root).Login(p.t.Context(), loginWith(i, csrOf(p.t, key)))
	p.must(err)
	return p.seat(r.GetIdentity(), key)
}

// seat is an officer with an identity.
func (p *plant) seat(id *taplinev1.OfficerIdentity, key ed25519.PrivateKey) *clerk {
	cert := tls.Certificate{Certificate: id.GetCertificates(), PrivateKey: key}
	o := officerAt(p.dial(wire.ClientTLS(func() (tls.Certificate, bool) { return cert, true }, p.roots, p.clock.now)))
	o.identity = id
	return o
}

func TestAnInvitedOfficerMayWhatTheRoleMayUntilRevoked(t *testing.T) {
	p := newPlant(t)
	p.staff()
	ctx := t.Context()
	olga := p.appoint("olga", "helpdesk")
	who, err := olga.officers.WhoAmI(ctx, &taplinev1.WhoAmIRequest{})
	p.must(err)
	if who.GetOfficer().GetName() != "olga" || who.GetOfficer().GetRole() != "helpdesk" || who.GetSite() != "plant" || len(who.GetMay()) < 10 {
		t.Errorf("she is %v", who)
	}
	if life := who.GetExpiresAt().AsTime().Sub(p.clock.now()); life < 29*24*time.Hour || life > 31*24*time.Hour {
		t.Errorf("her certificate is good for %s", life)
	}
	_, err = olga.admin.AssignBadge(ctx, &taplinev1.AssignBadgeRequest{Person: "p-1", Badge: proofOf(ben())})
	p.must(err)
	_, err = olga.admin.PutPerson(ctx, &taplinev1.PutPersonRequest{Person: &taplinev1.PersonEntry{Id: "p-9", DisplayName: "Olga's friend"}})
	refused(t, err, wire.Denied, "it is for admin")
	_, err = olga.officers.InviteOfficer(ctx, &taplinev1.InviteOfficerRequest{Name: "friend", Role: "admin"})
	refused(t, err, wire.Denied, "helpdesk does not open")

	r, err := p.local().officers.RevokeOfficer(ctx, &taplinev1.RevokeOfficerRequest{Name: "olga", Reason: "left"})
	p.must(err)
	if r.GetOfficer().GetRevokedAt() == nil {
		t.Errorf("got %v", r)
	}
	_, err = olga.admin.ListPeople(ctx, &taplinev1.ListPeopleRequest{})
	refused(t, err, wire.Unauthenticated, "revoked")

	var said []string
	for _, a := range p.acts() {
		said = append(said, a.Role+"/"+a.Actor+" "+a.Method+" "+a.Target)
	}
	all := strings.Join(said, "\n")
	for _, want := range []string{"admin/local InviteOfficer olga", "helpdesk/olga Login olga", "helpdesk/olga AssignBadge p-1", "admin/local RevokeOfficer olga"} {
		if !strings.Contains(all, want) {
			t.Errorf("no record says %q:\n%s", want, all)
		}
	}
}

// Who is revoked sees no record that comes after, although they began to watch before.
func TestWhoIsRevokedWatchesNoMore(t *testing.T) {
	p := newPlant(t)
	p.staff()
	vera := p.appoint("vera", "auditor")
	watch, err := vera.audit.WatchRecords(t.Context(), &taplinev1.WatchRecordsRequest{})
	p.must(err)
	_, err = watch.Recv()
	p.must(err)
	_, err = p.local().officers.RevokeOfficer(t.Context(), &taplinev1.RevokeOfficerRequest{Name: "vera", Reason: "left"})
	p.must(err)
	for err == nil {
		var r *taplinev1.WatchRecordsResponse
		if r, err = watch.Recv(); err != nil {
			break
		}
		e, fault := record.ParseEnvelope(r.GetRecord().GetEnvelope())
		p.must(fault)
		payload, fault := e.Payload()
		p.must(fault)
		if payload.Admin != nil && payload.Admin.Method == "RevokeOfficer" {
			t.Fatal("she sees how she is revoked")
		}
	}
	refused(t, err, wire.Unauthenticated, "revoked")
}

// acts are the records of acts in the broker's own chain.
func (p *plant) acts() []record.Admin {
	p.t.Helper()
	s, err := p.audit.QueryRecords(p.t.Context(), &taplinev1.QueryRecordsRequest{Filter: &taplinev1.RecordFilter{Types: []string{string(record.AdminAct)}}})
	p.must(err)
	var all []record.Admin
	for {
		r, err := s.Recv()
		if err != nil {
			return all
		}
		e, err := record.ParseEnvelope(r.GetRecord().GetEnvelope())
		p.must(err)
		payload, err := e.Payload()
		p.must(err)
		all = append(all, *payload.Admin)
	}
}

func TestOnePersonAloneDoesNotGiveBadgeAndPIN(t *testing.T) {
	p := newPlant(t)
	p.staff()
	ctx := t.Context()
	olga, karl := p.appoint("olga", "helpdesk"), p.appoint("karl", "supervisor")
	_, err := p.admin.PutPerson(ctx, &taplinev1.PutPersonRequest{Person: &taplinev1.PersonEntry{Id: "p-2", DisplayName: "Ben C."}})
	p.must(err)
	_, err = olga.admin.AssignBadge(ctx, &taplinev1.AssignBadgeRequest{Person: "p-2", Badge: proofOf(ben())})
	p.must(err)
	pin := &taplinev1.SetPinRequest{Person: "p-2", Pin: "4711"}
	_, err = olga.admin.SetPin(ctx, pin)
	refused(t, err, wire.Denied, "a colleague has to do this")
	_, err = olga.admin.SetPin(ctx, &taplinev1.SetPinRequest{Person: "p-2"}) // to clear one gives nothing
	p.must(err)
	_, err = olga.admin.SetPin(ctx, &taplinev1.SetPinRequest{Person: "p-1", Pin: "4711"}) // another person's
	p.must(err)
	_, err = karl.admin.SetPin(ctx, pin)
	p.must(err)
	_, err = karl.admin.AssignBadge(ctx, &taplinev1.AssignBadgeRequest{Person: "p-2", Badge: proofOf([]byte("uid\x0032\x00\x01\x02\x03\x04"))})
	refused(t, err, wire.Denied, "you gave p-2 the pin")
	_, err = p.admin.AssignBadge(ctx, &taplinev1.AssignBadgeRequest{Person: "p-2", Badge: proofOf([]byte("uid\x0032\x00\x01\x02\x03\x05"))})
	p.must(err)
	_, err = p.admin.SetPin(ctx, pin) // the administrator may
	p.must(err)
	p.clock.advance(25 * time.Hour)
	_, err = olga.admin.SetPin(ctx, pin)
	p.must(err)
}

func TestAnInvitationIsRedeemedOnceHoweverManyTryAtOnce(t *testing.T) {
	p := newPlant(t)
	i := p.invite(p.local(), "olga", "auditor")
	door := p.door(i.Root)
	var won, lost atomic.Int32
	var g errgroup.Group
	for range 20 {
		g.Go(func() error {
			csr := csrOf(t, newKeys(t).tls)
			first, err := door.Login(t.Context(), loginWith(i, csr))
			if wire.KindOf(err) == wire.Unauthenticated {
				lost.Add(1)
				return nil
			}
			if err != nil {
				return err
			}
			won.Add(1)
			again, err := door.Login(t.Context(), loginWith(i, csr)) // the answer was lost, say
			if err == nil && string(again.GetIdentity().GetCertificates()[0]) != string(first.GetIdentity().GetCertificates()[0]) {
				t.Error("the second answer is another identity")
			}
			return err
		})
	}
	if err := g.Wait(); err != nil || won.Load() != 1 || lost.Load() != 19 {
		t.Errorf("%d won, %d lost, %v", won.Load(), lost.Load(), err)
	}
}

func TestInvitationsThatAreNotGood(t *testing.T) {
	p := newPlant(t)
	ctx := t.Context()
	csr := csrOf(t, newKeys(t).tls)
	old := p.invite(p.local(), "olga", "auditor")
	fresh := p.invite(p.local(), "olga", "auditor")
	door := p.door(old.Root)
	for says, row := range map[string]struct {
		req  *taplinev1.LoginRequest
		kind wire.Kind
		text string
	}{
		"a former invitation": {loginWith(old, csr), wire.Unauthenticated, "unknown, used or expired"},
		"one never made":      {loginWith(wire.Invitation{Secret: "x"}, csr), wire.Unauthenticated, "unknown, used or expired"},
		"none":                {&taplinev1.LoginRequest{Csr: csr}, wire.Invalid, "invitation"},
		"no key":              {loginWith(fresh, nil), wire.Invalid, "csr"},
		"a broken request":    {loginWith(fresh, []byte("x")), wire.Invalid, "csr"},
		"an ID token where there is no issuer": {
			&taplinev1.LoginRequest{Csr: csr, Proof: &taplinev1.LoginRequest_IdToken{IdToken: "a.b.c"}}, wire.Precondition, "id_token",
		},
	} {
		t.Run(says, func(t *testing.T) {
			_, err := door.Login(ctx, row.req)
			refused(t, err, row.kind, row.text)
		})
	}
	p.clock.advance(25 * time.Hour)
	_, err := door.Login(ctx, loginWith(fresh, csr))
	refused(t, err, wire.Unauthenticated, "unknown, used or expired")
}

func TestRolesAreGivenByThoseWhoHaveThem(t *testing.T) {
	p := newPlant(t)
	ctx := t.Context()
	sven := p.appoint("sven", "security")
	for _, row := range []struct {
		says string
		req  *taplinev1.InviteOfficerRequest
		kind wire.Kind
		text string
	}{
		{"security gives no admin", &taplinev1.InviteOfficerRequest{Name: "x", Role: "admin"}, wire.Denied, "role"},
		{"no role", &taplinev1.InviteOfficerRequest{Name: "x"}, wire.Invalid, "role"},
		{"a station's role", &taplinev1.InviteOfficerRequest{Name: "x", Role: "station"}, wire.Invalid, "role"},
		{"a name with a slash", &taplinev1.InviteOfficerRequest{Name: "a/b", Role: "auditor"}, wire.Invalid, "name"},
		{"the broker's own name", &taplinev1.InviteOfficerRequest{Name: "Local", Role: "auditor"}, wire.Invalid, "name"},
		{"too long a time", &taplinev1.InviteOfficerRequest{Name: "x", Role: "auditor", Lifetime: durationpb.New(1000 * time.Hour)}, wire.Invalid, "lifetime"},
		{"too long a life", &taplinev1.InviteOfficerRequest{Name: "x", Role: "auditor", CertificateLife: durationpb.New(91 * 24 * time.Hour)}, wire.Invalid, "certificate_life"},
		{"an auditor", &taplinev1.InviteOfficerRequest{Name: "x", Role: "auditor"}, wire.None, ""},
	} {
		t.Run(row.says, func(t *testing.T) {
			if _, err := sven.officers.InviteOfficer(ctx, row.req); row.kind != wire.None {
				refused(t, err, row.kind, row.text)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	ada := p.appoint("ada", "admin")
	_, err := sven.officers.InviteOfficer(ctx, &taplinev1.InviteOfficerRequest{Name: "ada", Role: "auditor"})
	refused(t, err, wire.Denied, "role")
	_, err = sven.officers.RevokeOfficer(ctx, &taplinev1.RevokeOfficerRequest{Name: "ada", Reason: "stolen"}) // to cut off is security's
	p.must(err)
	_, err = sven.officers.ReadmitOfficer(ctx, &taplinev1.ReadmitOfficerRequest{Name: "ada"})
	refused(t, err, wire.Denied, "role")
	_, err = p.local().officers.ReadmitOfficer(ctx, &taplinev1.ReadmitOfficerRequest{Name: "ada"})
	p.must(err)
	_, err = ada.admin.ListPeople(ctx, &taplinev1.ListPeopleRequest{}) // the old certificate stays dead
	refused(t, err, wire.Unauthenticated, "revoked")
}

func TestAnotherRoleEndsTheFormerOne(t *testing.T) {
	p := newPlant(t)
	olga := p.appoint("olga", "supervisor")
	p.invite(p.local(), "olga", "auditor")
	_, err := olga.admin.ListPeople(t.Context(), &taplinev1.ListPeopleRequest{})
	refused(t, err, wire.Unauthenticated, "revoked")
}

func TestAnIdentityIsRenewedByItsOwner(t *testing.T) {
	p := newPlant(t)
	ctx := t.Context()
	olga, key := p.appoint("olga", "auditor"), newKeys(t).tls
	p.clock.advance(20 * 24 * time.Hour)
	r, err := olga.officers.RenewOfficer(ctx, &taplinev1.RenewOfficerRequest{Csr: csrOf(t, key)})
	p.must(err)
	p.clock.advance(20 * 24 * time.Hour)
	_, err = olga.officers.WhoAmI(ctx, &taplinev1.WhoAmIRequest{})
	refused(t, err, wire.Unauthenticated, "expired")
	_, err = p.seat(r.GetIdentity(), key).officers.WhoAmI(ctx, &taplinev1.WhoAmIRequest{})
	p.must(err)
	list, err := p.local().officers.ListOfficers(ctx, &taplinev1.ListOfficersRequest{})
	p.must(err)
	if n := list.GetOfficers(); len(n) != 2 || n[0].GetName() != "local" || n[1].GetName() != "olga" ||
		n[1].GetCertificateExpiresAt().GetSeconds() != r.GetIdentity().GetExpiresAt().GetSeconds() {
		t.Errorf("the list says %v", n)
	}
}
