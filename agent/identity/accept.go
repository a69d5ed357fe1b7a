package identity

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/vouch"
	"tapline/proto/wire"
)

const badgeKeySize = 32

// expected is what an answer of the broker must fit, so that a station never takes over an identity that it could not use.
type expected struct {
	station  record.StationID
	chain    record.ChainID
	tlsKey   crypto.PublicKey
	identity []byte // SPKI
	join     uint64 // the least
	now      time.Time
	firstKey record.PublicKey // zero: not known any more
	pin      wire.Pin         // zero: the line was checked against the roots in hand
}

// accept checks an answer and lays it over what the station had. Whatever the broker leaves out stays as it was.
func (w expected) accept(id *taplinev1.Identity, had state) (state, Secret, error) {
	s := had
	s.V, s.Station, s.Chain = stateV, w.station, w.chain
	s.Certificates, s.JoinSequence = id.GetCertificates(), id.GetJoinSequence()
	if len(id.GetBrokers()) > 0 {
		s.Brokers = id.GetBrokers()
	}
	if t := id.GetRenewAt(); t != nil {
		s.RenewAt = t.AsTime()
	}
	if err := w.checkStatement(id, &s); err != nil {
		return state{}, nil, err
	}
	if err := w.takeRoots(id, &s); err != nil {
		return state{}, nil, err
	}
	if err := w.checkCertificate(s); err != nil {
		return state{}, nil, err
	}
	if err := w.takeJoin(id, &s); err != nil {
		return state{}, nil, err
	}
	if n := len(id.GetBadgeKey()); n != badgeKeySize && (n != 0 || had.BadgeKey == "") {
		return state{}, nil, fmt.Errorf("a badge key of %d bytes, want %d", n, badgeKeySize)
	}
	return s, Secret(id.GetBadgeKey()), nil
}

// takeRoots takes over the roots that the broker's trust statement names, unless we have a newer one: roots never go back.
func (w expected) takeRoots(id *taplinev1.Identity, s *state) error {
	if len(id.GetTrust()) == 0 {
		if len(id.GetRoots()) > 0 {
			s.Roots = id.GetRoots()
		}
		return nil
	}
	site, err := siteOf(s.Certificates)
	if err != nil {
		return err
	}
	t, err := vouch.OpenTrust(id.GetTrust(), s.EvidenceKey, site)
	if err != nil {
		return err
	}
	if t.Version >= s.Trust {
		s.Roots, s.Trust = t.Roots, t.Version
	}
	return nil
}

// siteOf is the site that a certificate chain names.
func siteOf(ders [][]byte) (string, error) {
	chain, err := parseAll(ders)
	if err != nil || len(chain) == 0 {
		return "", fmt.Errorf("certificate: %w", errors.Join(err, errors.New("missing or damaged")))
	}
	who, err := wire.SubjectOf(chain[0])
	return who.Site, err
}

// takeJoin keeps the broker's word on how far this identity has come.
func (w expected) takeJoin(id *taplinev1.Identity, s *state) error {
	s.Join = id.GetJoin()
	if len(s.Join) == 0 {
		return nil
	}
	j, err := vouch.OpenJoin(s.Join, s.EvidenceKey, w.station)
	if err != nil {
		return err
	}
	if j.Sequence != s.JoinSequence || j.Chain != w.chain {
		return fmt.Errorf("the join statement is of sequence %d, chain %s", j.Sequence, j.Chain)
	}
	return nil
}

func (w expected) checkCertificate(s state) error {
	if s.JoinSequence < max(1, w.join) {
		return fmt.Errorf("join sequence %d, want %d or more", s.JoinSequence, max(1, w.join))
	}
	roots, err := parseAll(s.Roots)
	if err != nil {
		return fmt.Errorf("roots: %w", err)
	}
	if w.pin != (wire.Pin{}) && !slices.ContainsFunc(roots, func(r *x509.Certificate) bool { return wire.PinOf(r) == w.pin }) {
		return wire.ErrWrongRoot
	}
	chain, err := parseAll(s.Certificates)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	if len(chain) == 0 || !samePublic(chain[0].PublicKey, w.tlsKey) {
		return errors.New("the certificate is not for our key")
	}
	who, err := wire.SubjectOf(chain[0])
	if err != nil {
		return err
	}
	if who.Role != wire.RoleStation || who.Name != string(w.station) {
		return fmt.Errorf("the certificate names %s", who)
	}
	between := pool(chain[1:])
	_, err = chain[0].Verify(x509.VerifyOptions{
		Roots: pool(roots), Intermediates: between, CurrentTime: w.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}

// checkStatement takes over statement and evidence key. A statement that was checked before stays good although the evidence key changes.
func (w expected) checkStatement(id *taplinev1.Identity, s *state) error {
	if key := id.GetEvidenceKey(); len(key) > 0 {
		k, err := record.NewPublicKey(key)
		if err != nil {
			return err
		}
		s.EvidenceKey = k
	}
	if len(id.GetStationStatement()) == 0 || bytes.Equal(id.GetStationStatement(), s.Statement) {
		if len(s.Statement) == 0 {
			return errors.New("no station statement")
		}
		return nil
	}
	e, err := record.ParseEnvelope(id.GetStationStatement())
	if err != nil {
		return err
	}
	var st record.StationStatement
	if err := record.OpenStatement(e, record.StationPayloadType, s.EvidenceKey, &st); err != nil {
		return err
	}
	switch {
	case st.Station != w.station || st.Chain != w.chain:
		return fmt.Errorf("the statement is of %s, chain %s", st.Station, st.Chain)
	case !bytes.Equal(st.IdentityKey, w.identity):
		return errors.New("the statement names another identity key")
	case !w.firstKey.IsZero() && st.FirstKey != w.firstKey:
		return errors.New("the statement names another first record key")
	}
	s.Statement = e.Bytes()
	return nil
}

func parseAll(ders [][]byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// view is the identity that a state and its keys make.
func view(s state, key crypto.Signer, badge Secret) (*Identity, error) {
	chain, err := parseAll(s.Certificates)
	if err != nil || len(chain) == 0 {
		return nil, fmt.Errorf("certificate: %w", errors.Join(err, errors.New("missing or damaged")))
	}
	roots, err := parseAll(s.Roots)
	if err != nil {
		return nil, fmt.Errorf("roots: %w", err)
	}
	who, err := wire.SubjectOf(chain[0])
	if err != nil {
		return nil, err
	}
	statement, err := record.ParseEnvelope(s.Statement)
	if err != nil {
		return nil, fmt.Errorf("station statement: %w", err)
	}
	return &Identity{
		Station: s.Station, Site: who.Site, Chain: s.Chain, Statement: statement, EvidenceKey: s.EvidenceKey, BadgeKey: badge,
		Brokers: s.Brokers, Roots: roots, NotAfter: chain[0].NotAfter, RenewAt: s.RenewAt, JoinSequence: s.JoinSequence, Trust: s.Trust,
		Certificate: tls.Certificate{Certificate: s.Certificates, PrivateKey: key, Leaf: chain[0]},
	}, nil
}
