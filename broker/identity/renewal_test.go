package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

const station = record.StationID("plant/press/line-4/hmi-1")

// office is a registrar on a store of its own, with a clock that the test moves.
type office struct {
	*Registrar
	at time.Time
}

func newOffice(t testing.TB) *office {
	t.Helper()
	o := &office{at: time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)}
	now := func() time.Time { return o.at }
	s, err := store.OpenSQLite(t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	must(t, s.Migrate(t.Context()))
	v, err := vault.New(make([]byte, vault.KeySize))
	must(t, err)
	authority, err := LoadAuthority(t.Context(), s, v, "plant", now)
	must(t, err)
	evidence, err := LoadEvidence(t.Context(), s, v, o.at)
	must(t, err)
	site, err := LoadSiteKey(t.Context(), s, v, o.at)
	must(t, err)
	o.Registrar = &Registrar{
		Store: s, Vault: v, Authority: authority, Evidence: evidence, SiteKey: site, Now: now,
		Brokers: func() []string { return []string{"broker:8443"} }, Forget: func(record.StationID) {},
	}
	return o
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// machine is a station's state on disk, as the agent keeps it: the request is stored before it is sent.
type machine struct {
	sequence uint64
	cert     *x509.Certificate
	pending  []byte
}

// enrol enrols a station.
func (o *office) enrol(t testing.TB) *machine {
	t.Helper()
	var token wire.Token
	must(t, o.Store.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.PutStation(&taplinev1.Station{Id: string(station)}); err != nil {
			return err
		}
		_, out, err := o.NewToken(tx, station, TokenLife, "test")
		token = out
		return err
	}))
	identity, recordKey := newEd25519(t), newEd25519(t)
	csr := newCSR(t)
	spki, err := x509.MarshalPKIXPublicKey(identity.Public())
	must(t, err)
	first := record.PublicKeyOf(recordKey)
	chain := uuid.NewString()
	digest := wire.EnrolDigest(token.Secret, string(station), csr, first[:], chain)
	id, err := o.Enrol(t.Context(), &taplinev1.EnrolRequest{
		Token: token.Secret, Station: string(station), Csr: csr, IdentityKey: spki, RecordKey: first[:], Chain: chain,
		Proof: ed25519.Sign(identity, digest[:]),
	})
	must(t, err)
	m := &machine{}
	m.takeOver(t, id)
	return m
}

func newEd25519(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(crand.Reader)
	must(t, err)
	return k
}

func newCSR(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	must(t, err)
	csr, err := x509.CreateCertificateRequest(crand.Reader, &x509.CertificateRequest{}, key)
	must(t, err)
	return csr
}

func (m *machine) takeOver(t testing.TB, id *taplinev1.Identity) {
	t.Helper()
	cert, err := x509.ParseCertificate(id.GetCertificates()[0])
	must(t, err)
	m.sequence, m.cert, m.pending = id.GetJoinSequence(), cert, nil
}

// line loses requests and answers.
type line struct {
	*rand.Rand
	lost float64
}

// renew renews over a bad line until an answer arrives, or the broker refuses.
func (m *machine) renew(t *testing.T, o *office, l line) error {
	t.Helper()
	for {
		if m.pending == nil {
			m.pending = newCSR(t)
		}
		if l.Float64() < l.lost {
			continue // the request was lost
		}
		id, err := o.Renew(context.Background(), station, m.cert, &taplinev1.RenewRequest{Csr: m.pending, JoinSequence: m.sequence})
		if err != nil {
			return err
		}
		if l.Float64() < l.lost {
			continue // the answer was lost
		}
		m.takeOver(t, id)
		return nil
	}
}

func TestAnHonestStationIsNeverLockedOutAndACopyAlwaysFound(t *testing.T) {
	rounds, renewals := 8, 30
	if testing.Short() {
		rounds, renewals = 2, 10
	}
	for seed := range uint64(rounds) {
		l := line{rand.New(rand.NewPCG(seed, 1)), 0.1}
		o := newOffice(t)
		m := o.enrol(t)
		for i := range renewals {
			o.at = m.cert.NotAfter.Add(-StationLife / 2)
			if err := m.renew(t, o, l); err != nil {
				t.Fatalf("seed %d: honest renewal %d was refused: %v", seed, i, err)
			}
		}
		if m.sequence != uint64(renewals)+1 {
			t.Errorf("seed %d: sequence %d after %d renewals", seed, m.sequence, renewals)
		}
		twin := *m
		both := []*machine{m, &twin}
		var caught error
		for i := 0; i < 4 && caught == nil; i++ {
			caught = both[l.IntN(2)].renew(t, o, l)
			if i == 1 && caught == nil { // at the latest when each has renewed once
				caught = m.renew(t, o, l)
			}
			if i == 2 && caught == nil {
				caught = twin.renew(t, o, l)
			}
		}
		if wire.KindOf(caught) != wire.Stale {
			t.Errorf("seed %d: the copy was not found: %v", seed, caught)
		}
		for _, one := range both {
			if err := one.renew(t, o, l); err == nil {
				t.Errorf("seed %d: a copy renews in quarantine", seed)
			}
		}
	}
}

func TestAnAnswerThatWasLostUntilItExpiredIsMadeAnew(t *testing.T) {
	o := newOffice(t)
	m := o.enrol(t)
	m.pending = newCSR(t)
	ask := func() *taplinev1.Identity {
		id, err := o.Renew(t.Context(), station, m.cert, &taplinev1.RenewRequest{Csr: m.pending, JoinSequence: m.sequence})
		must(t, err)
		return id
	}
	first := ask()
	o.at = o.at.Add(6 * 24 * time.Hour)
	again := ask()
	if first.GetJoinSequence() != again.GetJoinSequence() {
		t.Errorf("sequence %d, then %d", first.GetJoinSequence(), again.GetJoinSequence())
	}
	m.takeOver(t, again)
	if left := m.cert.NotAfter.Sub(o.at); left < StationLife-time.Minute {
		t.Errorf("the answer that was made anew is good for %s", left)
	}
	must(t, m.renew(t, o, line{rand.New(rand.NewPCG(1, 1)), 0}))
}

func TestTheIssuingCAIsReplacedBeforeItsEndAndStationsStayKnown(t *testing.T) {
	o := newOffice(t)
	m := o.enrol(t)
	was := m.cert.Issuer.String()
	for range 58 {
		o.at = m.cert.NotAfter.Add(-StationLife / 2)
		must(t, o.Authority.Rotate(t.Context()))
		must(t, m.renew(t, o, line{rand.New(rand.NewPCG(1, 1)), 0}))
		if _, err := m.cert.Verify(x509.VerifyOptions{
			Roots: o.Authority.Roots(), Intermediates: o.Authority.between(), CurrentTime: o.at,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if m.cert.Issuer.String() == was {
		t.Error("after 200 days the issuing CA is still the first one")
	}
	c := o.Authority.current()
	if left := c.issuer(o.at).certs[0].NotAfter.Sub(o.at); left < IssuingLife/2 {
		t.Errorf("the issuing CA has %s left", left)
	}
}

// between is the issuing CA as what leads to the root.
func (a *Authority) between() *x509.CertPool {
	pool := x509.NewCertPool()
	c := a.current()
	pool.AddCert(c.issuer(a.now()).certs[0])
	return pool
}
