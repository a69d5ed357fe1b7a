package identity

import (
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tapline/broker/store"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/vouch"
	"tapline/proto/wire"
)

// step takes the authority a step further.
func (o *office) step(t *testing.T, step string, force bool) error {
	t.Helper()
	err := o.Store.Update(t.Context(), func(tx *store.Tx) error { return o.Authority.Step(tx, step, force) })
	if err == nil {
		must(t, o.Authority.Refresh(t.Context()))
	}
	return err
}

// believed says which of the roots lead to what the broker shows.
func (o *office) believed(t *testing.T, roots ...[]byte) (all []bool) {
	t.Helper()
	shown, err := o.Authority.Server([]string{"broker"})
	must(t, err)
	for _, der := range roots {
		root, err := x509.ParseCertificate(der)
		must(t, err)
		pool, between := x509.NewCertPool(), x509.NewCertPool()
		pool.AddCert(root)
		for _, der := range shown.Certificate[1:] {
			c, err := x509.ParseCertificate(der)
			must(t, err)
			between.AddCert(c)
		}
		_, err = shown.Leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, CurrentTime: o.at})
		all = append(all, err == nil)
	}
	return all
}

func TestTheRootChangesInThreeStepsAndNobodyIsCutOff(t *testing.T) {
	o := newOffice(t)
	o.enrol(t)
	old, before := o.Authority.Root(), o.Authority.Pin()
	wantRefused(t, "issue first", o.step(t, StepIssue, false), wire.Precondition, "init")
	wantRefused(t, "retire first", o.step(t, StepRetire, false), wire.Precondition, "init and issue")
	wantRefused(t, "no step", o.step(t, "leap", false), wire.Invalid, "step")
	must(t, o.step(t, StepInit, false))
	wantRefused(t, "init twice", o.step(t, StepInit, false), wire.Precondition, "under way")
	roots := o.Authority.RootCertificates()
	if len(roots) != 2 || string(roots[0]) != string(old) || o.Authority.Pin() != before {
		t.Fatal("a published root must be trusted and not sign")
	}
	fresh := roots[1]
	if got := o.believed(t, old, fresh); !got[0] || got[1] {
		t.Errorf("published: believed by the old root and the new %v, want the old alone", got)
	}
	wantRefused(t, "issue too early", o.step(t, StepIssue, false), wire.Precondition, "force")
	o.at = o.at.Add(PublishFor)
	must(t, o.Authority.Rotate(t.Context()))
	must(t, o.step(t, StepIssue, false))
	if got := o.believed(t, old, fresh); !got[0] || !got[1] || o.Authority.Pin() == before {
		t.Errorf("issuing: believed by the old root and the new %v, want both", got)
	}
	if string(o.Authority.Root()) != string(fresh) {
		t.Error("the new root is not the first one")
	}
	o.at = o.at.Add(RetireAfter)
	wantRefused(t, "retire while a station does not know", o.step(t, StepRetire, false), wire.Precondition, string(station))
	must(t, o.Store.Update(t.Context(), func(tx *store.Tx) error { return o.NoteTrust(tx, station, o.Authority.TrustVersion()) }))
	must(t, o.Authority.Rotate(t.Context()))
	must(t, o.step(t, StepRetire, false))
	if got := o.believed(t, old, fresh); got[0] || !got[1] || len(o.Authority.RootCertificates()) != 1 {
		t.Errorf("retired: believed by the old root and the new %v, want the new alone", got)
	}
}

func TestWhatStationsAreToldToTrustIsSignedAndRises(t *testing.T) {
	o := newOffice(t)
	last := uint64(0)
	for _, step := range []string{"", StepInit, StepIssue, StepRetire} {
		if step != "" {
			must(t, o.step(t, step, true))
		}
		told, err := o.Trust()
		must(t, err)
		got, err := vouch.OpenTrust(told.GetStatement(), o.Evidence.Public(), "plant")
		must(t, err)
		if step != StepIssue && got.Version <= last {
			t.Errorf("after %q the version is %d, before it was %d", step, got.Version, last)
		}
		last = got.Version
		if len(got.Roots) != len(o.Authority.RootCertificates()) {
			t.Errorf("after %q: %d roots", step, len(got.Roots))
		}
	}
}

func TestAStoreFromBeforeRootsCouldChangeIsRead(t *testing.T) {
	o := newOffice(t)
	c := o.Authority.current()
	must(t, o.Store.Update(t.Context(), func(tx *store.Tx) error {
		for name, p := range map[string]pairOf{
			rootSecret: {c.roots[0].cert, c.roots[0].key}, issuingSecret: {c.issuers[0].certs[0], c.issuers[0].key},
		} {
			key, err := x509.MarshalPKCS8PrivateKey(p.key)
			must(t, err)
			b, err := json.Marshal(storedPair{Cert: p.cert.Raw, Key: key})
			must(t, err)
			if err := tx.PutSecret(name, o.Vault.Seal(name, b), o.at); err != nil {
				return err
			}
		}
		first, err := o.Authority.readFirst(tx)
		if err != nil {
			return err
		}
		if string(first.rootsDER()[0]) != string(o.Authority.Root()) || first.issuer(o.at) == nil || first.version == 0 {
			t.Error("it reads as another authority")
		}
		return nil
	}))
}

// pairOf is a CA as it was stored.
type pairOf struct {
	cert *x509.Certificate
	key  any
}

func TestAClockThatJumpsAndComesBackLeavesCertificatesThatAreGood(t *testing.T) {
	for _, jump := range []time.Duration{-300 * 24 * time.Hour, -40 * 24 * time.Hour, 200 * 24 * time.Hour, 3 * 365 * 24 * time.Hour} {
		o := newOffice(t)
		o.at = o.at.Add(365 * 24 * time.Hour)
		must(t, o.Authority.Rotate(t.Context()))
		own := &Own{Authority: o.Authority, Hosts: []string{"broker"}, Now: func() time.Time { return o.at }}
		_, err := own.Get()
		must(t, err)
		for _, by := range []time.Duration{jump, -jump} {
			o.at = o.at.Add(by)
			must(t, o.Authority.Ready(t.Context()))
			must(t, o.Authority.Rotate(t.Context()))
			c, err := own.Get()
			must(t, err)
			if o.at.Before(c.Leaf.NotBefore) || o.at.After(c.Leaf.NotAfter.Add(-ServerLife/2+time.Minute)) || !o.believed(t, o.Authority.Root())[0] {
				t.Errorf("jump %s, then %s: the broker shows a certificate from %s to %s at %s", jump, by, c.Leaf.NotBefore, c.Leaf.NotAfter, o.at)
			}
		}
	}
}

func TestAStationThatKnowsMoreThanTheStoreIsBelievedByOurSignatureAlone(t *testing.T) {
	o, a := newOffice(t), newApplicant(t)
	_, out := o.token(t, station)
	id, err := o.Enrol(t.Context(), a.request(t, out.Secret, station))
	must(t, err)
	join := func(sequence uint64) []byte {
		j, err := vouch.NewJoin(o.Evidence, vouch.Join{Station: station, Chain: chainOf(t, id), Sequence: sequence, Serial: "ab", At: o.at})
		must(t, err)
		return j
	}
	ahead := func(sequence uint64, join []byte) error {
		nonce, err := o.Challenge(station)
		must(t, err)
		req := a.recovery(t, nonce, sequence)
		req.Join = join
		_, err = o.Recover(t.Context(), req)
		return err
	}
	must(t, ahead(5, join(5)))
	if got := o.sequence(t); got != 6 {
		t.Errorf("the station is at %d, want 6", got)
	}
	wantRefused(t, "a statement of another number", ahead(9, join(8)), wire.Stale, "two copies")
}

func chainOf(t *testing.T, id *taplinev1.Identity) record.ChainID {
	t.Helper()
	e, err := record.ParseEnvelope(id.GetStationStatement())
	must(t, err)
	s, err := record.ReadStation(e)
	must(t, err)
	return s.Chain
}

func TestWhatAskingForTheTimeGives(t *testing.T) {
	o := newOffice(t)
	nonce := []byte(strings.Repeat("n", vouch.MinNonce))
	got, err := o.Answer(&taplinev1.GetChallengeRequest{Station: string(station), Nonce: nonce})
	must(t, err)
	at, err := vouch.OpenTime(got.GetTime(), o.Evidence.Public(), station, nonce)
	if err != nil || !at.Equal(o.at) {
		t.Errorf("told %s, %v, want %s", at, err, o.at)
	}
	_, err = o.Answer(&taplinev1.GetChallengeRequest{Station: string(station), Nonce: nonce[:3]})
	wantRefused(t, "a short nonce", err, wire.Invalid, "nonce")
	_, err = o.Answer(&taplinev1.GetChallengeRequest{Station: "hmi"})
	wantRefused(t, "no station", err, wire.Invalid, "station")
}

// Two that read the authority at once may end in either order; what was read first must not undo what was read last.
func TestWhatWasReadEarlierDoesNotUndoAStep(t *testing.T) {
	o := newOffice(t)
	before, early := o.Authority.current(), o.Authority.reading()
	o.at = o.at.Add(time.Hour)
	for _, step := range []string{StepInit, StepIssue} {
		must(t, o.Store.Update(t.Context(), func(tx *store.Tx) error { return o.Authority.Step(tx, step, true) }))
	}
	must(t, o.Authority.Refresh(t.Context()))
	after := o.Authority.Mark()
	o.Authority.take(before, early)
	if got := o.Authority.Mark(); got != after {
		t.Errorf("got %s, want %s", got, after)
	}
}
