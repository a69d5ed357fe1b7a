package brokertest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/vouch"
	"tapline/proto/wire"
)

// Enrol trades a token for an identity, once for each key.
func (b *Broker) Enrol(_ context.Context, r *taplinev1.EnrolRequest) (*taplinev1.EnrolResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	tok := b.tokens[r.GetToken()]
	if tok == nil || tok.station != r.GetStation() {
		return nil, wire.E(wire.Unauthenticated, "the token is unknown, or for another station")
	}
	digest := wire.EnrolDigest(r.GetToken(), r.GetStation(), r.GetCsr(), r.GetRecordKey(), r.GetChain())
	if !verifies(r.GetIdentityKey(), digest, r.GetProof()) {
		return nil, wire.E(wire.Unauthenticated, "the proof does not verify")
	}
	s := b.stations[r.GetStation()]
	again := s != nil && bytes.Equal(s.Identity, r.GetIdentityKey()) && bytes.Equal(s.csr, r.GetCsr()) && string(s.Chain) == r.GetChain()
	if again {
		tok.used = true
		return &taplinev1.EnrolResponse{Identity: s.answer}, nil
	}
	if tok.used {
		return nil, wire.E(wire.Unauthenticated, "the token was used already")
	}
	key, err := record.NewPublicKey(r.GetRecordKey())
	if err != nil {
		return nil, wire.E(wire.Invalid, "record key: %w", err)
	}
	tok.used = true
	fresh := &Station{Identity: r.GetIdentityKey(), Chain: record.ChainID(r.GetChain()), firstKey: key}
	if s != nil {
		fresh.Join = s.Join
	}
	if err := b.state(fresh, r.GetStation()); err != nil {
		return nil, err
	}
	if err := b.certify(fresh, r.GetStation(), r.GetCsr()); err != nil {
		return nil, err
	}
	b.stations[r.GetStation()] = fresh
	return &taplinev1.EnrolResponse{Identity: fresh.answer}, nil
}

// state signs the statement that begins a chain.
func (b *Broker) state(s *Station, name string) error {
	st := record.StationStatement{
		V: record.Version, Station: record.StationID(name), Chain: s.Chain, IdentityKey: s.Identity, FirstKey: s.firstKey, EnrolledAt: b.Now().Round(0).UTC(),
	}
	e, err := record.SignStatement(record.StationPayloadType, &st, b.evidence)
	if err != nil {
		return wire.E(wire.Invalid, "statement: %w", err)
	}
	s.statement, s.head = e.Bytes(), st.Head()
	return nil
}

// certify gives the next certificate.
func (b *Broker) certify(s *Station, name string, csr []byte) error {
	req, err := x509.ParseCertificateRequest(csr)
	if err == nil {
		err = req.CheckSignature()
	}
	if err != nil {
		return wire.E(wire.Invalid, "csr: %w", err)
	}
	life := b.Life
	if life == 0 {
		life = 7 * 24 * time.Hour
	}
	now := b.Now()
	leaf := b.ca.client(name, req.PublicKey, now.Add(-24*time.Hour), now.Add(life))
	badge, err := hkdf.Key(sha256.New, b.siteKey, nil, "badge "+name, 32)
	if err != nil {
		return err
	}
	s.Join++
	s.previous, s.serial, s.notAfter, s.csr = s.serial, leaf.SerialNumber.String(), leaf.NotAfter, csr
	key := b.EvidenceKey()
	join, err := vouch.NewJoin(signer{b}, vouch.Join{
		Station: record.StationID(name), Chain: s.Chain, Sequence: s.Join, Serial: leaf.SerialNumber.Text(16), At: now,
	})
	if err != nil {
		return err
	}
	trust, err := b.Trust(1)
	if err != nil {
		return err
	}
	s.answer = &taplinev1.Identity{
		Certificates: [][]byte{leaf.Raw, b.ca.issuing.Raw}, Roots: [][]byte{b.ca.root.Raw}, JoinSequence: s.Join,
		StationStatement: s.statement, EvidenceKey: key[:], Brokers: b.Addresses, RenewAt: timestamppb.New(now.Add(life / 2)), BadgeKey: badge,
		Join: join, Trust: trust.GetStatement(),
	}
	return nil
}

// Renew gives the next certificate, in step with the join sequence.
func (b *Broker) Renew(ctx context.Context, r *taplinev1.RenewRequest) (*taplinev1.RenewResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name, s, err := b.caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.next(s, name, r.GetCsr(), r.GetJoinSequence()); err != nil {
		return nil, err
	}
	return &taplinev1.RenewResponse{Identity: s.answer}, nil
}

// next holds the law of the join sequence: the sequence first, then the request.
func (b *Broker) next(s *Station, name string, csr []byte, join uint64) error {
	switch {
	case s.Quarantined:
		return wire.E(wire.Stale, "the station is quarantined")
	case join == s.Join-1 && bytes.Equal(csr, s.csr):
		return nil
	case join != s.Join:
		s.Quarantined = true
		return wire.E(wire.Stale, "join sequence %d is not %d: the station is quarantined", join, s.Join)
	}
	return b.certify(s, name, csr)
}

// GetChallenge gives a nonce.
func (b *Broker) GetChallenge(_ context.Context, r *taplinev1.GetChallengeRequest) (*taplinev1.GetChallengeResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	nonce := random(32)
	b.nonces[string(nonce)] = r.GetStation()
	at, err := vouch.NewTime(signer{b}, record.StationID(r.GetStation()), r.GetNonce(), b.Now())
	if err != nil {
		return nil, wire.E(wire.Invalid, "nonce: %w", err)
	}
	return &taplinev1.GetChallengeResponse{Nonce: nonce, BrokerTime: timestamppb.New(b.Now()), Time: at}, nil
}

// Trust is a trust statement of a version.
func (b *Broker) Trust(version uint64, brokers ...string) (*taplinev1.TrustUpdate, error) {
	if len(brokers) == 0 {
		brokers = b.Addresses
	}
	statement, err := vouch.NewTrust(signer{b}, vouch.Trust{Version: version, Site: Site, Roots: [][]byte{b.ca.root.Raw}, Brokers: brokers, At: b.Now()})
	return &taplinev1.TrustUpdate{Statement: statement}, err
}

// signer signs with a broker's evidence key.
type signer struct{ b *Broker }

// Sign signs a statement.
func (s signer) Sign(payloadType string, payload any) (record.Envelope, error) {
	return record.SignStatement(payloadType, payload, s.b.evidence)
}

// Recover gives the next certificate against the identity key.
func (b *Broker) Recover(_ context.Context, r *taplinev1.RecoverRequest) (*taplinev1.RecoverResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stations[r.GetStation()]
	known := b.nonces[string(r.GetNonce())] == r.GetStation()
	delete(b.nonces, string(r.GetNonce()))
	digest := wire.RecoverDigest(r.GetStation(), r.GetNonce(), r.GetCsr(), r.GetJoinSequence())
	maxAway := b.MaxAway
	if maxAway == 0 {
		maxAway = 180 * 24 * time.Hour
	}
	switch {
	case s == nil || !known || !verifies(s.Identity, digest, r.GetProof()):
		return nil, wire.E(wire.Unauthenticated, "the nonce or its signature is not good")
	case s.Revoked:
		return nil, wire.E(wire.Denied, "the station was revoked")
	case b.Now().Sub(s.notAfter) > maxAway && !s.Approved:
		return nil, wire.E(wire.Precondition, "the station was away too long: an administrator must approve")
	}
	if err := b.next(s, r.GetStation(), r.GetCsr(), r.GetJoinSequence()); err != nil {
		return nil, err
	}
	return &taplinev1.RecoverResponse{Identity: s.answer}, nil
}

// caller is the station that calls, if it may. The caller of it holds mu.
func (b *Broker) caller(ctx context.Context) (string, *Station, error) {
	who, leaf, ok := callerOf(ctx)
	if !ok || who.Role != wire.RoleStation {
		return "", nil, wire.E(wire.Unauthenticated, "a station's certificate is needed")
	}
	s := b.stations[who.Name]
	switch {
	case s == nil:
		return "", nil, wire.E(wire.Unauthenticated, "the station is not known")
	case s.Revoked:
		return "", nil, wire.E(wire.Denied, "the station was revoked")
	case leaf.SerialNumber.String() != s.serial && leaf.SerialNumber.String() != s.previous:
		return "", nil, wire.E(wire.Unauthenticated, "the certificate was replaced")
	}
	return who.Name, s, nil
}

func verifies(spki []byte, digest [32]byte, sig []byte) bool {
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return false
	}
	switch k := key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, digest[:], sig)
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest[:], sig)
	}
	return false
}
