package broker

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"testing"
	"time"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// csr is a request for a new TLS key, which the station has from then on.
func (s *hmi) csr() []byte {
	s.t.Helper()
	s.keys.tls = newKeys(s.t).tls
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, s.keys.tls)
	s.must(err)
	return csr
}

func (s *hmi) askRenewal(sequence uint64, csr []byte) (*taplinev1.Identity, error) {
	r, err := s.client.Renew(s.t.Context(), &taplinev1.RenewRequest{Csr: csr, JoinSequence: sequence})
	return r.GetIdentity(), err
}

// renew renews, and goes on with the new identity.
func (s *hmi) renew() {
	s.t.Helper()
	id, err := s.askRenewal(s.identity.GetJoinSequence(), s.csr())
	s.must(err)
	s.identity = id
	s.connect()
}

// copied is a second machine with the same disk.
func (s *hmi) copied() *hmi {
	twin := *s
	twin.connect() // with the key and the certificate of now
	return &twin
}

func (s *hmi) serial() string {
	s.t.Helper()
	c, err := x509.ParseCertificate(s.identity.GetCertificates()[0])
	s.must(err)
	return hex.EncodeToString(c.SerialNumber.Bytes())
}

func TestARenewalWhoseAnswerWasLostIsAnsweredAgain(t *testing.T) {
	p := newPlant(t)
	s := p.enrol(press)
	csr := s.csr()
	lost, err := s.askRenewal(1, csr)
	p.must(err)
	again, err := s.askRenewal(1, csr)
	p.must(err)
	if lost.GetJoinSequence() != 2 || string(lost.GetCertificates()[0]) != string(again.GetCertificates()[0]) {
		t.Errorf("sequence %d, then %d; want the same certificate with 2", lost.GetJoinSequence(), again.GetJoinSequence())
	}
	s.identity = again
	s.connect()
	s.renew()
	if p.alarms()["clone"] {
		t.Error("an honest station is called a clone")
	}
}

func TestACopyOfAStationIsFoundAndTheAdministratorPicksTheLiveOne(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	twin := s.copied()
	s.renew()
	if _, err := s.client.OpenSession(t.Context(), tap(anna())); err != nil {
		t.Fatalf("the station after its renewal: %v", err)
	}
	_, err := twin.askRenewal(1, twin.csr())
	refused(t, err, wire.Stale, "two copies")
	if !p.alarms()["clone"] {
		t.Error("no alarm")
	}
	_, err = s.client.OpenSession(t.Context(), tap(anna()))
	refused(t, err, wire.Precondition, "quarantined")
	_, err = s.client.FetchBundle(t.Context(), &taplinev1.FetchBundleRequest{})
	refused(t, err, wire.Precondition, "quarantined")
	if _, err := s.send(1, s.write(2)); err != nil {
		t.Errorf("records of a quarantined station are evidence and taken: %v", err)
	}
	_, err = p.admin.ReleaseStation(t.Context(), &taplinev1.ReleaseStationRequest{Id: press, Serial: s.serial()})
	p.must(err)
	s.open(tap(anna()))
	s.renew()
	_, err = twin.client.OpenSession(t.Context(), tap(anna()))
	refused(t, err, wire.Unauthenticated, "revoked")
}

func TestASupersededCertificateOpensNothing(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	twin := s.copied()
	s.renew()
	twin.open(tap(anna())) // the one before the newest is still good: the answer to a renewal may be on its way
	s.renew()
	_, err := twin.client.OpenSession(t.Context(), tap(anna()))
	refused(t, err, wire.Unauthenticated, "superseded")
	_, err = twin.askRenewal(1, twin.csr())
	refused(t, err, wire.Stale, "two copies")
}

// recover asks for an identity with the identity key alone.
func (s *hmi) recover(key ed25519.PrivateKey, nonce []byte) (*taplinev1.Identity, error) {
	s.t.Helper()
	csr := s.csr()
	digest := wire.RecoverDigest(s.id, nonce, csr, s.identity.GetJoinSequence())
	r, err := s.stranger(s.rootPin()).Recover(s.t.Context(), &taplinev1.RecoverRequest{
		Station: s.id, Nonce: nonce, Csr: csr, JoinSequence: s.identity.GetJoinSequence(), Proof: ed25519.Sign(key, digest[:]),
	})
	return r.GetIdentity(), err
}

func (s *hmi) rootPin() wire.Pin {
	s.t.Helper()
	root, err := x509.ParseCertificate(s.identity.GetRoots()[0])
	s.must(err)
	return wire.PinOf(root)
}

func (s *hmi) challenge() []byte {
	s.t.Helper()
	r, err := s.stranger(s.rootPin()).GetChallenge(s.t.Context(), &taplinev1.GetChallengeRequest{Station: s.id})
	s.must(err)
	return r.GetNonce()
}

func TestAStationThatWasAwayForMonthsRecoversByItsIdentityKey(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	p.clock.advance(90 * 24 * time.Hour)
	p.stop() // the server's own certificate is renewed by a restart at the latest
	p.start()
	nonce := s.challenge()
	_, err := s.recover(newKeys(t).identity, nonce)
	refused(t, err, wire.Unauthenticated, "proof")
	id, err := s.recover(s.keys.identity, nonce)
	p.must(err) // a stranger who signs wrongly does not burn the station's nonce
	key := s.keys.tls
	_, err = s.recover(s.keys.identity, nonce)
	refused(t, err, wire.Unauthenticated, "nonce")
	s.identity = id
	s.keys.tls = key
	s.connect()
	s.open(tap(anna()))
}

func TestAStationThatWasAwayTooLongNeedsAnAdministrator(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	p.clock.advance(200 * 24 * time.Hour)
	p.stop()
	p.start()
	_, err := s.recover(s.keys.identity, s.challenge())
	refused(t, err, wire.Precondition, "administrator")
	if !p.alarms()["away"] {
		t.Error("nobody was told that the station asks to come back")
	}
	_, err = p.admin.ApproveRecovery(t.Context(), &taplinev1.ApproveRecoveryRequest{Id: press})
	p.must(err)
	id, err := s.recover(s.keys.identity, s.challenge())
	p.must(err)
	s.identity = id
	s.connect()
	s.open(tap(anna()))
}
