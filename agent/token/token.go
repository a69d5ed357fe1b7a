// Package token makes and checks short-lived tokens that say who is at a station: JSON Web Tokens (RFC 7519) signed with Ed25519 (RFC 8037), and the key set
// (RFC 7517) by which anybody checks them.
//
// The agent makes them, for programs on the station that have to tell a server who is working; the command tapagent checks them. A token is good for a minute
// and for one audience. It is not a session: whoever takes one decides what it may do, and remembers its jti until it has expired, so that it is used once.
// The package keeps no key and asks nobody.
package token

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Life is how long a token is good.
const Life = time.Minute

// Leeway is how far the clocks of a station and of whoever checks may be apart.
const Leeway = 10 * time.Second

// Says is what a token says.
type Says struct {
	ID       string    // jti
	Station  string    // iss
	Person   string    // sub
	Audience string    // aud
	Session  string    // sid
	Issued   time.Time // iat and nbf, whole seconds
	Expires  time.Time // exp
	Methods  []string  // amr, RFC 8176
	Mode     string    // acr: how far the station enforces
	// Assurance is how hard the badge is to copy, 0 to 4; Name is there if it was asked for.
	Assurance int
	Name      string
}

// private are the claims beside the registered ones. Assurance has a name of ours, since there is no registered one.
type private struct {
	Session   string   `json:"sid"`
	Methods   []string `json:"amr,omitempty"`
	Mode      string   `json:"acr,omitempty"`
	Assurance int      `json:"tapline_assurance"`
	Name      string   `json:"name,omitempty"`
}

// Methods are the authentication methods of a session (RFC 8176). A badge that only tells its number is none of them: it proves no key.
func Methods(assurance int, factors []string) []string {
	var list []string
	if assurance >= 3 {
		list = append(list, "hwk")
	}
	if assurance >= 4 {
		list = append(list, "sc")
	}
	for _, f := range factors {
		if f == "pin" {
			list = append(list, "pin", "mfa")
		}
	}
	return list
}

// KeyID is the thumbprint of a key (RFC 7638).
func KeyID(key ed25519.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("name the key of tokens: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// Sign makes a token.
func Sign(key ed25519.PrivateKey, s Says) (string, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("sign a token: no Ed25519 key")
	}
	id, err := KeyID(public)
	if err != nil {
		return "", err
	}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", id)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, options)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	text, err := jwt.Signed(signer).Claims(jwt.Claims{
		ID: s.ID, Issuer: s.Station, Subject: s.Person, Audience: jwt.Audience{s.Audience},
		IssuedAt: jwt.NewNumericDate(s.Issued), NotBefore: jwt.NewNumericDate(s.Issued), Expiry: jwt.NewNumericDate(s.Expires),
	}).Claims(private{Session: s.Session, Methods: s.Methods, Mode: s.Mode, Assurance: s.Assurance, Name: s.Name}).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return text, nil
}

// KeySet is the key set of a station: what others check its tokens with.
func KeySet(key ed25519.PublicKey) ([]byte, error) {
	id, err := KeyID(key)
	if err != nil {
		return nil, err
	}
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: id, Algorithm: string(jose.EdDSA), Use: "sig"}}})
}

// Errors of Check.
var (
	// ErrToken says that a text is no token of a known key.
	ErrToken = errors.New("not a token signed with one of these keys")
	// ErrClaims says that a token is not meant for the one who checks it, or not now.
	ErrClaims = errors.New("this token is not good here and now")
)

// Check reads a token that was signed with a key of keys and is meant for audience, at the time now. An empty station is any whose key is among them.
// Whoever calls it refuses an ID that it has seen before.
func Check(keys []byte, text, audience, station string, now time.Time) (Says, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(keys, &set); err != nil {
		return Says{}, fmt.Errorf("%w: the key set: %w", ErrToken, err)
	}
	t, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return Says{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	var c jwt.Claims
	var p private
	if err := t.Claims(set, &c, &p); err != nil {
		return Says{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	want := jwt.Expected{AnyAudience: jwt.Audience{audience}, Issuer: station, Time: now}
	if err := c.ValidateWithLeeway(want, Leeway); err != nil {
		return Says{}, fmt.Errorf("%w: %w", ErrClaims, err)
	}
	if audience == "" || c.Expiry == nil || c.IssuedAt == nil || c.ID == "" || c.Subject == "" || c.Expiry.Time().Sub(c.IssuedAt.Time()) > Life {
		return Says{}, fmt.Errorf("%w: a claim is missing, or it lives too long", ErrClaims)
	}
	return Says{
		ID: c.ID, Station: c.Issuer, Person: c.Subject, Audience: audience, Session: p.Session, Issued: c.IssuedAt.Time().UTC(), Expires: c.Expiry.Time().UTC(),
		Methods: p.Methods, Mode: p.Mode, Assurance: p.Assurance, Name: p.Name,
	}, nil
}
