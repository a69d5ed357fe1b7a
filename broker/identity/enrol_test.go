package identity

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"tapline/broker/alarm"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// token makes a token for a station, which it puts into the directory.
func (o *office) token(t *testing.T, id record.StationID) (made store.Token, out wire.Token) {
	t.Helper()
	must(t, o.Store.Update(t.Context(), func(tx *store.Tx) (err error) {
		if _, err = tx.PutStation(&taplinev1.Station{Id: string(id)}); err == nil {
			made, out, err = o.NewToken(tx, id, TokenLife, "test")
		}
		return err
	}))
	return made, out
}

// applicant is a station that wants to enrol.
type applicant struct{ identity, record ed25519.PrivateKey }

func newApplicant(t *testing.T) applicant { return applicant{newEd25519(t), newEd25519(t)} }

func (a applicant) request(t *testing.T, token string, id record.StationID) *taplinev1.EnrolRequest {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(a.identity.Public())
	must(t, err)
	first := record.PublicKeyOf(a.record)
	req := &taplinev1.EnrolRequest{Token: token, Station: string(id), Csr: newCSR(t), IdentityKey: spki, RecordKey: first[:], Chain: uuid.NewString()}
	a.prove(req)
	return req
}

func (a applicant) prove(req *taplinev1.EnrolRequest) {
	digest := wire.EnrolDigest(req.GetToken(), req.GetStation(), req.GetCsr(), req.GetRecordKey(), req.GetChain())
	req.Proof = ed25519.Sign(a.identity, digest[:])
}

func wantRefused(t *testing.T, says string, err error, kind wire.Kind, want string) {
	t.Helper()
	if wire.KindOf(err) != kind || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v (%s), want %q (%s)", says, err, wire.KindOf(err), want, kind)
	}
}

func TestEnrolmentsThatAreRefused(t *testing.T) {
	const other = record.StationID("plant/packing/line-2/hmi-1")
	for _, row := range []struct {
		says  string
		spoil func(*testing.T, *office, store.Token, applicant, *taplinev1.EnrolRequest)
		kind  wire.Kind
		want  string
	}{
		{"a token that nobody made", func(_ *testing.T, _ *office, _ store.Token, a applicant, r *taplinev1.EnrolRequest) {
			r.Token = strings.Repeat("A", 32)
			a.prove(r)
		}, wire.Unauthenticated, "not known"},
		{"no token", func(_ *testing.T, _ *office, _ store.Token, _ applicant, r *taplinev1.EnrolRequest) { r.Token = "" }, wire.Invalid, "token"},
		{"a token for another station", func(t *testing.T, o *office, _ store.Token, a applicant, r *taplinev1.EnrolRequest) {
			_, for2 := o.token(t, other)
			r.Token = for2.Secret
			a.prove(r)
		}, wire.Unauthenticated, "another station"},
		{"an expired token", func(_ *testing.T, o *office, _ store.Token, _ applicant, _ *taplinev1.EnrolRequest) {
			o.at = o.at.Add(TokenLife + time.Second)
		}, wire.Unauthenticated, "expired"},
		{"a revoked token", func(t *testing.T, o *office, made store.Token, _ applicant, _ *taplinev1.EnrolRequest) {
			must(t, o.Store.Update(t.Context(), func(tx *store.Tx) error { return tx.RevokeToken(made.ID, o.at) }))
		}, wire.Unauthenticated, "taken back"},
		{"a token that was used", func(t *testing.T, o *office, _ store.Token, _ applicant, r *taplinev1.EnrolRequest) {
			_, err := o.Enrol(t.Context(), newApplicant(t).request(t, r.GetToken(), station))
			must(t, err)
		}, wire.Unauthenticated, "works once"},
		{"a station that was deleted since", func(t *testing.T, o *office, _ store.Token, _ applicant, _ *taplinev1.EnrolRequest) {
			must(t, o.Store.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteStation(station) }))
		}, wire.Unauthenticated, "not known"},
		{"a station that somebody enrolled with a later token", func(t *testing.T, o *office, _ store.Token, _ applicant, _ *taplinev1.EnrolRequest) {
			o.at = o.at.Add(time.Minute)
			_, later := o.token(t, station)
			_, err := o.Enrol(t.Context(), newApplicant(t).request(t, later.Secret, station))
			must(t, err)
		}, wire.Exists, "make a new token"},
		{"a proof by another key", func(t *testing.T, _ *office, _ store.Token, _ applicant, r *taplinev1.EnrolRequest) {
			newApplicant(t).prove(r)
		}, wire.Unauthenticated, "proof"},
		{"a proof of another request", func(t *testing.T, _ *office, _ store.Token, _ applicant, r *taplinev1.EnrolRequest) {
			r.Csr = newCSR(t)
		}, wire.Unauthenticated, "proof"},
		{"a request whose chain was changed", func(_ *testing.T, _ *office, _ store.Token, _ applicant, r *taplinev1.EnrolRequest) {
			r.Chain = uuid.NewString()
		}, wire.Unauthenticated, "proof"},
		{"a CSR that is none", func(_ *testing.T, _ *office, _ store.Token, _ applicant, r *taplinev1.EnrolRequest) {
			r.Csr = []byte("csr")
		}, wire.Invalid, "csr"},
		{"no identity key", func(_ *testing.T, _ *office, _ store.Token, _ applicant, r *taplinev1.EnrolRequest) {
			r.IdentityKey = nil
		}, wire.Invalid, "identity_key"},
		{"a chain that is no UUID", func(_ *testing.T, _ *office, _ store.Token, _ applicant, r *taplinev1.EnrolRequest) {
			r.Chain = "chain"
		}, wire.Invalid, "chain"},
		{"a station that is none", func(_ *testing.T, _ *office, _ store.Token, _ applicant, r *taplinev1.EnrolRequest) {
			r.Station = "hmi"
		}, wire.Invalid, "station"},
	} {
		t.Run(row.says, func(t *testing.T) {
			o, a := newOffice(t), newApplicant(t)
			made, out := o.token(t, station)
			req := a.request(t, out.Secret, station)
			row.spoil(t, o, made, a, req)
			id, err := o.Enrol(t.Context(), req)
			if err == nil {
				t.Fatalf("it got sequence %d", id.GetJoinSequence())
			}
			wantRefused(t, row.says, err, row.kind, row.want)
			if strings.Contains(err.Error(), out.Secret) {
				t.Errorf("the error shows the token: %v", err)
			}
		})
	}
}

func TestOfAThousandRedemptionsOfOneTokenOneKeyWins(t *testing.T) {
	o := newOffice(t)
	_, out := o.token(t, station)
	tries := 1000
	if testing.Short() {
		tries = 100
	}
	requests := make([]*taplinev1.EnrolRequest, tries)
	for i := range requests {
		requests[i] = newApplicant(t).request(t, out.Secret, station)
	}
	var won atomic.Pointer[taplinev1.EnrolRequest]
	var all sync.WaitGroup
	for _, req := range requests {
		all.Go(func() {
			_, err := o.Enrol(t.Context(), req)
			if err != nil {
				wantRefused(t, "the others", err, wire.Unauthenticated, "works once")
				return
			}
			if won.Swap(req) != nil {
				t.Error("two won")
			}
		})
	}
	all.Wait()
	if won.Load() == nil {
		t.Fatal("nobody won")
	}
	must(t, o.Store.View(t.Context(), func(tx *store.Tx) error {
		s, err := tx.Station(station)
		if string(s.Join.IdentityKey) != string(won.Load().GetIdentityKey()) || s.Join.Sequence != 1 || string(s.Chain) != won.Load().GetChain() {
			t.Errorf("the station stands at %+v, chain %s", s.Join, s.Chain)
		}
		return err
	}))
}

func TestTheSameRequestIsAnsweredAgainUntilTheStationHasRenewed(t *testing.T) {
	o, a := newOffice(t), newApplicant(t)
	_, out := o.token(t, station)
	req := a.request(t, out.Secret, station)
	first, err := o.Enrol(t.Context(), req)
	must(t, err)
	again, err := o.Enrol(t.Context(), req)
	must(t, err)
	if string(first.GetCertificates()[0]) != string(again.GetCertificates()[0]) || first.GetJoinSequence() != again.GetJoinSequence() {
		t.Error("the second answer is another one")
	}
	m := &machine{}
	m.takeOver(t, again)
	_, err = o.Renew(t.Context(), station, m.cert, &taplinev1.RenewRequest{Csr: newCSR(t), JoinSequence: m.sequence})
	must(t, err)
	_, err = o.Enrol(t.Context(), req)
	wantRefused(t, "after a renewal", err, wire.Unauthenticated, "works once")
}

// recovery asks for a recovery with a good proof, after spoil had its way with the request.
func (o *office) recovery(t *testing.T, a applicant, sequence uint64, spoil func(*taplinev1.RecoverRequest)) error {
	t.Helper()
	nonce, err := o.Challenge(station)
	must(t, err)
	req := a.recovery(t, nonce, sequence)
	spoil(req)
	_, err = o.Recover(t.Context(), req)
	return err
}

func TestRecoveriesThatAreRefused(t *testing.T) {
	o, a := newOffice(t), newApplicant(t)
	_, out := o.token(t, station)
	_, err := o.Enrol(t.Context(), a.request(t, out.Secret, station))
	must(t, err)
	o.at = o.at.Add(90 * 24 * time.Hour)
	elsewhere, err := o.Challenge("plant/packing/line-2/hmi-1")
	must(t, err)
	for says, row := range map[string]struct {
		spoil func(*taplinev1.RecoverRequest)
		want  string
	}{
		"a nonce that nobody gave":       {func(r *taplinev1.RecoverRequest) { r.Nonce = make([]byte, 32) }, "nonce"},
		"a short nonce":                  {func(r *taplinev1.RecoverRequest) { r.Nonce = r.GetNonce()[:31] }, "nonce"},
		"a nonce for another station":    {func(r *taplinev1.RecoverRequest) { r.Nonce = elsewhere }, "nonce"},
		"a nonce that is a minute old":   {func(*taplinev1.RecoverRequest) { o.at = o.at.Add(challengeLife + time.Second) }, "nonce"},
		"a proof by nobody":              {func(r *taplinev1.RecoverRequest) { r.Proof = nil }, "proof"},
		"a proof of another CSR":         {func(r *taplinev1.RecoverRequest) { r.Csr = newCSR(t) }, "proof"},
		"a proof of another sequence":    {func(r *taplinev1.RecoverRequest) { r.JoinSequence = 7 }, "proof"},
		"a station that is not enrolled": {func(r *taplinev1.RecoverRequest) { r.Station = "plant/packing/line-2/hmi-1" }, "nonce"},
	} {
		wantRefused(t, says, o.recovery(t, a, 1, row.spoil), wire.Unauthenticated, row.want)
	}
	var used *taplinev1.RecoverRequest
	must(t, o.recovery(t, a, 1, func(r *taplinev1.RecoverRequest) { used = r }))
	_, err = o.Recover(t.Context(), used)
	wantRefused(t, "the same request again", err, wire.Unauthenticated, "nonce")
	// None of the refusals above may have harmed the station; a nonce that was signed is gone, and a good proof of an old sequence number is a copy.
	wantRefused(t, "a copy", o.recovery(t, a, 1, func(*taplinev1.RecoverRequest) {}), wire.Stale, "two copies")
	must(t, o.Store.View(t.Context(), func(tx *store.Tx) error {
		open, err := tx.Alarms(true, store.Page{Size: 10})
		if len(open) != 1 || open[0].Kind != string(alarm.Clone) {
			t.Errorf("alarms: %+v", open)
		}
		s, err2 := tx.Station(station)
		if s.State != taplinev1.StationState_STATION_STATE_QUARANTINED {
			t.Errorf("the station is %s", s.State)
		}
		if err == nil {
			err = err2
		}
		return err
	}))
}

// Whoever has nothing to show is refused by a look at the store: the writer's turn is for those who work.
func TestStrangersDoNotTakeTheWritersTurn(t *testing.T) {
	o, a := newOffice(t), newApplicant(t)
	_, out := o.token(t, station)
	_, err := o.Enrol(t.Context(), a.request(t, out.Secret, station))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	must(t, o.Store.Update(t.Context(), func(*store.Tx) error { // the turn is taken
		nonce, err := o.Challenge(station)
		must(t, err)
		_, err = o.Recover(ctx, newApplicant(t).recovery(t, nonce, 1))
		wantRefused(t, "a recovery with another key", err, wire.Unauthenticated, "proof")
		_, err = o.Enrol(ctx, a.request(t, "a token that was made up", station))
		wantRefused(t, "a token that is not known", err, wire.Unauthenticated, "not known")
		return nil
	}))
}

func TestAStationThatWasAwayForHalfAYearIsNotTakenBackByItself(t *testing.T) {
	for days, kind := range map[time.Duration]wire.Kind{186: wire.None, 188: wire.Precondition} {
		o, a := newOffice(t), newApplicant(t)
		_, out := o.token(t, station)
		_, err := o.Enrol(t.Context(), a.request(t, out.Secret, station))
		must(t, err)
		o.at = o.at.Add(days * 24 * time.Hour) // the first seven of them the certificate was good
		if err := o.recovery(t, a, 1, func(*taplinev1.RecoverRequest) {}); wire.KindOf(err) != kind {
			t.Errorf("after %d days: %v, want %s", days, err, kind)
		}
	}
}

// another is a second broker on the same store, with a clock that is ahead.
func (o *office) another(t *testing.T, ahead time.Duration) *office {
	t.Helper()
	b := &office{}
	now := func() time.Time { return o.at.Add(ahead) }
	v, err := vault.New(make([]byte, vault.KeySize))
	must(t, err)
	authority, err := LoadAuthority(t.Context(), o.Store, v, "plant", now)
	must(t, err)
	evidence, err := LoadEvidence(t.Context(), o.Store, v, now())
	must(t, err)
	b.Registrar = &Registrar{
		Store: o.Store, Vault: v, Authority: authority, Evidence: evidence, SiteKey: o.SiteKey, Now: now, Brokers: o.Brokers, Forget: o.Forget,
	}
	return b
}

func TestANonceIsGoodAtAnotherBrokerOnTheStoreAndOnceAtAll(t *testing.T) {
	o, a := newOffice(t), newApplicant(t)
	_, out := o.token(t, station)
	_, err := o.Enrol(t.Context(), a.request(t, out.Secret, station))
	must(t, err)
	for _, ahead := range []time.Duration{0, 30 * time.Second, -30 * time.Second} {
		var used *taplinev1.RecoverRequest
		sequence := o.sequence(t)
		wantRefused(t, "not signed", o.recovery(t, a, sequence, func(r *taplinev1.RecoverRequest) { r.Proof = nil }), wire.Unauthenticated, "proof")
		nonce, err := o.Challenge(station)
		must(t, err)
		used = a.recovery(t, nonce, sequence)
		_, err = o.another(t, ahead).Recover(t.Context(), used)
		must(t, err)
		for says, broker := range map[string]*office{"the one that gave it": o, "the one that took it": o.another(t, ahead)} {
			_, err = broker.Recover(t.Context(), used)
			wantRefused(t, says, err, wire.Unauthenticated, "nonce")
		}
	}
}

// sequence is where the station stands.
func (o *office) sequence(t *testing.T) (n uint64) {
	t.Helper()
	must(t, o.Store.View(t.Context(), func(tx *store.Tx) error {
		s, err := tx.Station(station)
		n = s.Join.Sequence
		return err
	}))
	return n
}

// recovery is a request with a good proof.
func (a applicant) recovery(t *testing.T, nonce []byte, sequence uint64) *taplinev1.RecoverRequest {
	t.Helper()
	req := &taplinev1.RecoverRequest{Station: string(station), Nonce: nonce, Csr: newCSR(t), JoinSequence: sequence}
	digest := wire.RecoverDigest(req.GetStation(), req.GetNonce(), req.GetCsr(), req.GetJoinSequence())
	req.Proof = ed25519.Sign(a.identity, digest[:])
	return req
}

// FuzzEnrol holds that no request makes the reading of it panic, and that nothing that is not signed passes.
func FuzzEnrol(f *testing.F) {
	f.Add("token", string(station), []byte("csr"), []byte("key"), []byte("first"), "chain", []byte("proof"))
	f.Fuzz(func(t *testing.T, token, id string, csr, spki, first []byte, chain string, proof []byte) {
		_, err := readEnrolment(&taplinev1.EnrolRequest{Token: token, Station: id, Csr: csr, IdentityKey: spki, RecordKey: first, Chain: chain, Proof: proof})
		if err == nil {
			t.Error("a proof was guessed")
		}
		if k := wire.KindOf(err); k != wire.Invalid && k != wire.Unauthenticated {
			t.Errorf("got %v (%s)", err, k)
		}
	})
}
