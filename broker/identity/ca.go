package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tapline/broker/store"
	taplinev1 "tapline/proto/tapline/v1"
)

// ca is the certificate authority as it is stored: sealed, as one secret, so that every broker on the store changes it in one step. Roots and
// issuers are newest last.
type ca struct {
	version uint64 // of the trust statement: rises when the set of roots changes
	roots   []root
	issuers []issuer
}

// root is a root certificate with its key.
type root struct {
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	state taplinev1.RootState
	since time.Time
}

// issuer is an issuing CA: one key, certified by the root that issues and, while that one retires, by the root before it. So whoever knows either
// root believes it.
type issuer struct {
	key   *ecdsa.PrivateKey
	certs []*x509.Certificate
}

// The names of the secrets. The first two are what stores held before there was more than one root.
const (
	rootSecret    = "ca-root"
	issuingSecret = "ca-issuing"
	caSecret      = "ca"
)

type storedCA struct {
	Version uint64         `json:"version"`
	Roots   []storedRoot   `json:"roots"`
	Issuers []storedIssuer `json:"issuers"`
}

type storedRoot struct {
	Cert  []byte    `json:"cert"` // DER
	Key   []byte    `json:"key"`  // PKCS #8
	State int32     `json:"state"`
	Since time.Time `json:"since"`
}

type storedIssuer struct {
	Key   []byte   `json:"key"`
	Certs [][]byte `json:"certs"`
}

// storedPair is how one CA was stored before there was more than one root.
type storedPair struct {
	Cert []byte `json:"cert"`
	Key  []byte `json:"key"`
}

func (c *ca) encode() ([]byte, error) {
	s := storedCA{Version: c.version}
	for _, r := range c.roots {
		key, err := x509.MarshalPKCS8PrivateKey(r.key)
		if err != nil {
			return nil, fmt.Errorf("encode root: %w", err)
		}
		s.Roots = append(s.Roots, storedRoot{Cert: r.cert.Raw, Key: key, State: int32(r.state), Since: r.since})
	}
	for _, i := range c.issuers {
		key, err := x509.MarshalPKCS8PrivateKey(i.key)
		if err != nil {
			return nil, fmt.Errorf("encode issuing CA: %w", err)
		}
		s.Issuers = append(s.Issuers, storedIssuer{Key: key, Certs: raw(i.certs)})
	}
	return json.Marshal(s)
}

func decodeCA(b []byte) (ca, error) {
	var s storedCA
	if err := json.Unmarshal(b, &s); err != nil {
		return ca{}, errors.New("it is not a certificate authority") // the parser's words could show a part of a key
	}
	c := ca{version: s.Version}
	for _, r := range s.Roots {
		cert, err := x509.ParseCertificate(r.Cert)
		if err != nil {
			return ca{}, fmt.Errorf("root: %w", err)
		}
		key, err := decodeKey(r.Key)
		if err != nil {
			return ca{}, fmt.Errorf("root: %w", err)
		}
		c.roots = append(c.roots, root{cert: cert, key: key, state: taplinev1.RootState(r.State), since: r.Since})
	}
	for _, i := range s.Issuers {
		one, err := decodeIssuer(i.Key, i.Certs)
		if err != nil {
			return ca{}, err
		}
		c.issuers = append(c.issuers, one)
	}
	if c.issuing() == nil {
		return ca{}, errors.New("no root issues")
	}
	return c, nil
}

func decodeIssuer(key []byte, certs [][]byte) (issuer, error) {
	k, err := decodeKey(key)
	if err != nil {
		return issuer{}, fmt.Errorf("issuing CA: %w", err)
	}
	i := issuer{key: k}
	for _, der := range certs {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return issuer{}, fmt.Errorf("issuing CA: %w", err)
		}
		i.certs = append(i.certs, cert)
	}
	if len(i.certs) == 0 {
		return issuer{}, errors.New("issuing CA: no certificate")
	}
	return i, nil
}

func decodeKey(der []byte) (*ecdsa.PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("its key cannot be read")
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a key of type %T", key)
	}
	return ec, nil
}

func raw(certs []*x509.Certificate) [][]byte {
	ders := make([][]byte, len(certs))
	for i, c := range certs {
		ders[i] = c.Raw
	}
	return ders
}

// issuing is the root that signs.
func (c *ca) issuing() *root { return c.in(taplinev1.RootState_ROOT_STATE_ISSUING) }

// in is the root in a state; nil if there is none. There is at most one in each.
func (c *ca) in(state taplinev1.RootState) *root {
	for i := range c.roots {
		if c.roots[i].state == state {
			return &c.roots[i]
		}
	}
	return nil
}

// issuer is the issuing CA for now: the newest one under the root that issues that is good at this time. A clock that was wrong for a while may
// have left one that begins in the future.
func (c *ca) issuer(now time.Time) *issuer {
	var best *issuer
	r := c.issuing()
	for i := range c.issuers {
		one := &c.issuers[i]
		first := one.certs[0]
		if !bytes.Equal(first.AuthorityKeyId, r.cert.SubjectKeyId) || now.Before(first.NotBefore) || !now.Before(first.NotAfter) {
			continue
		}
		if best == nil || !first.NotBefore.Before(best.certs[0].NotBefore) {
			best = one
		}
	}
	return best
}

// keptIssuers bounds how many issuing CAs are kept: a clock that jumps to and fro makes one each time.
const keptIssuers = 8

// addIssuer makes a new issuing CA under the roots that sign or signed.
func (c *ca) addIssuer(site string, now time.Time) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	one := issuer{key: key}
	name := site + " Tapline issuing " + now.UTC().Format("2006-01-02")
	for _, state := range []taplinev1.RootState{taplinev1.RootState_ROOT_STATE_ISSUING, taplinev1.RootState_ROOT_STATE_RETIRING} {
		r := c.in(state)
		if r == nil {
			continue
		}
		cert, err := signCA(name, IssuingLife, key, r, now)
		if err != nil {
			return err
		}
		one.certs = append(one.certs, cert)
	}
	c.issuers = append(c.issuers, one)
	if n := len(c.issuers); n > keptIssuers {
		c.issuers = c.issuers[n-keptIssuers:]
	}
	return nil
}

// addRoot makes a new root in a state.
func (c *ca) addRoot(name string, state taplinev1.RootState, now time.Time) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	cert, err := signCA(name, RootLife, key, nil, now)
	if err != nil {
		return err
	}
	c.roots = append(c.roots, root{cert: cert, key: key, state: state, since: now.UTC()})
	c.version = max(c.version+1, uint64(max(0, now.Unix())))
	return nil
}

// tend makes a new issuing CA when the one in use has less than half its life before it, or when none is good now.
func (c *ca) tend(site string, now time.Time) (changed bool, err error) {
	if r := c.issuing(); now.Before(r.cert.NotBefore) || now.After(r.cert.NotAfter) {
		return false, nil // nothing that this root signs is good at this time: the clock is wrong, or the root's life is over
	}
	if i := c.issuer(now); i != nil && i.certs[0].NotAfter.Sub(now) > IssuingLife/2 {
		return false, nil
	}
	return true, c.addIssuer(site, now)
}

// readCA reads the authority inside an update; ErrNotFound before the first start.
func (a *Authority) readCA(tx *store.Tx) (ca, error) {
	sealed, err := tx.Secret(caSecret)
	if errors.Is(err, store.ErrNotFound) {
		return a.readFirst(tx)
	}
	if err != nil {
		return ca{}, err
	}
	plain, err := a.vault.Open(caSecret, sealed)
	if err != nil {
		return ca{}, fmt.Errorf("certificate authority: %w; is master.key the one that this store was made with?", err)
	}
	c, err := decodeCA(plain)
	if err != nil {
		return ca{}, fmt.Errorf("certificate authority: %w", err)
	}
	return c, nil
}

// readFirst reads what a store held before there was more than one root.
func (a *Authority) readFirst(tx *store.Tx) (ca, error) {
	var pairs [2]storedPair
	for i, name := range []string{rootSecret, issuingSecret} {
		sealed, err := tx.Secret(name)
		if err != nil {
			return ca{}, err
		}
		plain, err := a.vault.Open(name, sealed)
		if err != nil {
			return ca{}, fmt.Errorf("certificate authority: %w; is master.key the one that this store was made with?", err)
		}
		if err := json.Unmarshal(plain, &pairs[i]); err != nil {
			return ca{}, errors.New("certificate authority: damaged")
		}
	}
	cert, err := x509.ParseCertificate(pairs[0].Cert)
	if err != nil {
		return ca{}, fmt.Errorf("root: %w", err)
	}
	key, err := decodeKey(pairs[0].Key)
	if err != nil {
		return ca{}, fmt.Errorf("root: %w", err)
	}
	one, err := decodeIssuer(pairs[1].Key, [][]byte{pairs[1].Cert})
	since := cert.NotBefore.Add(Backdate)
	return ca{
		version: uint64(max(1, since.Unix())), issuers: []issuer{one},
		roots: []root{{cert: cert, key: key, state: taplinev1.RootState_ROOT_STATE_ISSUING, since: since}},
	}, err
}

func (a *Authority) writeCA(tx *store.Tx, c ca) error {
	plain, err := c.encode()
	if err != nil {
		return err
	}
	return tx.PutSecret(caSecret, a.vault.Seal(caSecret, plain), a.now())
}
