// Package logintest has an OpenID Connect issuer for tests: one that keeps the rules strictly (RFC 8628 for the device flow, OpenID Connect Core 1.0 for ID
// tokens) and signs real tokens, and that lies, dawdles or dies where a test asks for it. It has no browser: a test decides in a person's place. Only
// tests use it.
package logintest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// ClientID is the client that the issuer knows.
const ClientID = "tapctl"

// Issuer is an issuer. Its fields may be changed before it is used; what changes later has methods.
type Issuer struct {
	URL string
	// Now is its clock.
	Now func() time.Time
	// Interval is how often it may be polled, in seconds; 0 leaves it out of the answer, which means 5.
	Interval int
	// CodeLife is how long a code can be entered.
	CodeLife time.Duration
	// Claims are the person's, put into every token of the device flow.
	Claims map[string]any

	t testing.TB

	mu      sync.Mutex // guards what follows
	keys    []key      // the last one signs
	old     []key      // not published any more
	mood    Mood
	asked   map[string]int // requests by path
	devices map[string]*flow
}

// Mood is how the issuer answers.
type Mood int

// The moods.
const (
	Well   Mood = iota
	Dead        // closes the connection
	Slow        // never answers
	Broken      // answers 500
)

type key struct {
	id  string
	ec  *ecdsa.PrivateKey
	rsa *rsa.PrivateKey
}

// flow is one device flow.
type flow struct {
	user    string
	ends    time.Time
	last    time.Time
	pace    time.Duration
	verdict string // empty: pending; allowed; access_denied
}

// New makes an issuer at an address, without a server.
func New(t testing.TB, url string) *Issuer {
	i := &Issuer{
		URL: url, Now: time.Now, CodeLife: 10 * time.Minute, t: t, asked: map[string]int{}, devices: map[string]*flow{},
		Claims: map[string]any{"preferred_username": "olga", "groups": []string{"canteen", "plant-desk"}},
	}
	i.Rotate()
	return i
}

// Serve makes an issuer that listens on loopback over TLS until the test ends, and gives the file with its root.
func Serve(t testing.TB) (i *Issuer, caFile string) {
	t.Helper()
	i = New(t, "")
	s := httptest.NewTLSServer(i)
	t.Cleanup(s.Close)
	i.URL = s.URL
	caFile = filepath.Join(t.TempDir(), "issuer.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return i, caFile
}

// Rotate gives the issuer a new key, by turns RSA and elliptic; those before are still published.
func (i *Issuer) Rotate() {
	i.mu.Lock()
	defer i.mu.Unlock()
	k := key{id: fmt.Sprintf("k%d", len(i.keys)+len(i.old)+1)}
	var err error
	if len(i.keys)%2 == 0 {
		k.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		i.t.Fatal(err)
	}
	i.keys = append(i.keys, k)
}

// Withdraw ends all keys but the newest.
func (i *Issuer) Withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	last := len(i.keys) - 1
	i.old, i.keys = append(i.old, i.keys[:last]...), i.keys[last:]
}

// Be puts the issuer into a mood.
func (i *Issuer) Be(m Mood) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.mood = m
}

// Asked is how many requests came for a path.
func (i *Issuer) Asked(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked[path]
}

// Decide enters a code in a person's place: they allow it, or they do not.
func (i *Issuer) Decide(user string, allow bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, f := range i.devices {
		if f.user == user {
			f.verdict = map[bool]string{true: "allowed", false: "access_denied"}[allow]
			return
		}
	}
	i.t.Errorf("nobody was given the code %q", user)
}

// Usual are the claims of a good token.
func (i *Issuer) Usual() map[string]any {
	now := i.Now()
	c := map[string]any{"iss": i.URL, "sub": "s-4711", "aud": ClientID, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	for k, v := range i.Claims {
		c[k] = v
	}
	return c
}

// Mint signs claims with the newest key.
func (i *Issuer) Mint(claims map[string]any) string {
	i.mu.Lock()
	k := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	alg := "ES256"
	if k.rsa != nil {
		alg = "RS256"
	}
	return i.MintAs(alg, k.id, claims)
}

// MintOld signs with a key that was withdrawn.
func (i *Issuer) MintOld(claims map[string]any) string {
	return i.MintAs("ES256", "k1", claims)
}

// MintAs signs claims with an algorithm and the key of that name; a name that it does not know is signed by a key of nobody. Algorithms: ES256, RS256,
// none, and HS256 with the public key as the secret, which is an old trick.
func (i *Issuer) MintAs(alg, kid string, claims map[string]any) string {
	i.t.Helper()
	text := i.part(map[string]any{"alg": alg, "kid": kid, "typ": "JWT"}) + "." + i.part(claims)
	sum := sha256.Sum256([]byte(text))
	var sig []byte
	var err error
	switch k := i.key(kid); alg {
	case "none":
	case "HS256":
		h := hmac.New(sha256.New, i.publicOf(k))
		h.Write([]byte(text))
		sig = h.Sum(nil)
	case "RS256":
		sig, err = rsa.SignPKCS1v15(rand.Reader, k.rsa, crypto.SHA256, sum[:])
	default:
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, k.ec, sum[:]); err == nil {
			sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	}
	if err != nil {
		i.t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func (i *Issuer) key(id string) key {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, k := range append(i.keys, i.old...) {
		if k.id == id {
			return k
		}
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	return key{id: id, ec: ec}
}

func (i *Issuer) publicOf(k key) []byte {
	b, err := json.Marshal(jwk(k))
	if err != nil {
		i.t.Fatal(err)
	}
	return b
}

func (i *Issuer) part(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		i.t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// jwk is a public key as RFC 7517 has it.
func jwk(k key) map[string]string {
	enc := base64.RawURLEncoding.EncodeToString
	if k.rsa != nil {
		return map[string]string{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.id, "n": enc(k.rsa.N.Bytes()), "e": enc(big.NewInt(int64(k.rsa.E)).Bytes())}
	}
	point, _ := k.ec.PublicKey.Bytes() // it is on its curve
	return map[string]string{"kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", "kid": k.id, "x": enc(point[1:33]), "y": enc(point[33:])}
}

// RoundTrip lets a client reach the issuer without a network, in a bubble of testing/synctest say.
func (i *Issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	path, ours := strings.CutPrefix(r.URL.String(), i.URL)
	if !ours {
		return nil, fmt.Errorf("the test knows no %s", r.URL)
	}
	i.mu.Lock()
	mood := i.mood
	i.mu.Unlock()
	switch mood {
	case Dead:
		i.visited(path)
		return nil, errors.New("connection refused by the test")
	case Slow:
		i.visited(path)
		<-r.Context().Done()
		return nil, r.Context().Err()
	case Well, Broken:
	}
	inner := r.Clone(r.Context())
	inner.URL.Path = path
	w := httptest.NewRecorder()
	i.ServeHTTP(w, inner)
	return w.Result(), nil
}

func (i *Issuer) visited(path string) Mood {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked[path]++
	return i.mood
}
