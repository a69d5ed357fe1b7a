package openbaotest

import (
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Names that a server has from the start.
const (
	Mount     = "kv"
	Namespace = "plant"
	RoleID    = "3a3ce10b-7d1c-4f4e-9d0a-0d6f2a4711aa"
)

type token struct {
	expires, last time.Time // zero: for ever
	ttl           time.Duration
	renewable     bool
}

// Server is a server. Its fields are changed within Do.
type Server struct {
	// TTL and MaxTTL are the terms of tokens that AppRole gives.
	TTL, MaxTTL time.Duration
	// Rights are the capabilities by part of the KV engine: data and metadata.
	Rights map[string][]string
	// Sealed, Status (answered to everything), Hang (nothing is answered), Redirect, and Echo (errors tell the request's body) are ways to fail.
	Sealed   bool
	Status   int
	Hang     bool
	Redirect string
	Echo     bool
	// LoseWrites makes it keep what is written and drop the connection instead of answering.
	LoseWrites bool

	t                       testing.TB
	mu                      sync.Mutex // guards all the rest
	web                     *httptest.Server
	dir                     string
	now                     func() time.Time
	tokens                  map[string]*token
	kv                      map[string][]version
	secretID                string
	logins, renewals, calls int
}

// version is one version of a key of the KV engine.
type version struct {
	data    map[string]any
	deleted bool
	at      time.Time
}

// Start starts a server that lets the role in.
func Start(t testing.TB, now func() time.Time) *Server {
	t.Helper()
	s := &Server{
		t: t, dir: t.TempDir(), now: now, tokens: map[string]*token{}, kv: map[string][]version{}, TTL: time.Hour, MaxTTL: 24 * time.Hour,
		Rights: map[string][]string{"data": {"create", "read"}, "metadata": {"delete"}}, secretID: random(),
	}
	s.web = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Die)
	s.file("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.web.Certificate().Raw})))
	s.file("secret-id", s.secretID+"\n")
	return s
}

func random() string { return strings.ToLower(rand.Text()) }

func (s *Server) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// Address is its URL.
func (s *Server) Address() string { return s.web.URL }

// CAFile holds the certificate that it is known by.
func (s *Server) CAFile() string { return filepath.Join(s.dir, "ca.pem") }

// SecretIDFile holds the role's secret ID.
func (s *Server) SecretIDFile() string { return filepath.Join(s.dir, "secret-id") }

// TokenFile gives out a token, into a file.
func (s *Server) TokenFile(ttl time.Duration, renewable bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file("token", s.give(ttl, renewable)+"\n")
}

// Do changes the server between requests.
func (s *Server) Do(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// Die ends the server.
func (s *Server) Die() {
	s.web.CloseClientConnections()
	s.web.Close()
}

// Revoke ends every token.
func (s *Server) Revoke() { s.Do(func() { clear(s.tokens) }) }

// NewSecretID makes the secret ID that was given out worthless.
func (s *Server) NewSecretID() { s.Do(func() { s.secretID = random() }) }

// Counts are how often somebody has logged in, has renewed a token, and has asked anything.
func (s *Server) Counts() (logins, renewals, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins, s.renewals, s.calls
}

// Kept are the secrets that it keeps, by their path.
func (s *Server) Kept() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]string{}
	for path, all := range s.kv {
		if v := all[len(all)-1]; !v.deleted {
			found[path], _ = v.data["secret"].(string)
		}
	}
	return found
}

// Credentials are all that must not be told to anybody: tokens and the secret ID.
func (s *Server) Credentials() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(slices.Collect(maps.Keys(s.tokens)), s.secretID)
}

func (s *Server) give(ttl time.Duration, renewable bool) string {
	name := "s." + random()
	t := &token{ttl: ttl, renewable: renewable}
	if ttl > 0 {
		t.expires, t.last = s.now().Add(ttl), s.now().Add(s.MaxTTL)
	}
	s.tokens[name] = t
	return name
}

func (s *Server) hangs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	return s.Hang
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	if s.hangs() {
		<-r.Context().Done()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &answer{w: w, echo: s.Echo, body: string(body)}
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	switch {
	case s.Redirect != "":
		w.Header().Set("Location", s.Redirect+r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
	case s.Status != 0:
		a.fail(s.Status, "internal error")
	case !ok || r.Header.Get("X-Vault-Request") != "true":
		a.fail(http.StatusBadRequest, "no request of a client")
	case path == "sys/health" && r.Method == http.MethodGet:
		s.health(a, r)
	case s.Sealed:
		a.fail(http.StatusServiceUnavailable, "Vault is sealed")
	case r.Header.Get("X-Vault-Namespace") != Namespace:
		a.fail(http.StatusForbidden, "permission denied")
	case path == "auth/approle/login":
		s.login(a, r, body)
	default:
		s.authenticated(a, r, path, body)
	}
}

func (s *Server) login(a *answer, r *http.Request, body []byte) {
	var asked struct {
		RoleID   string `json:"role_id"`
		SecretID string `json:"secret_id"`
	}
	if r.Method != http.MethodPut && r.Method != http.MethodPost {
		a.fail(http.StatusMethodNotAllowed, "unsupported operation")
		return
	}
	if err := json.Unmarshal(body, &asked); err != nil || asked.RoleID != RoleID || asked.SecretID != s.secretID {
		a.fail(http.StatusBadRequest, "invalid role or secret ID")
		return
	}
	s.logins++
	a.write(http.StatusOK, map[string]any{"auth": auth(s.give(s.TTL, true), s.TTL)})
}

func auth(name string, ttl time.Duration) map[string]any {
	return map[string]any{
		"client_token": name, "accessor": random(), "policies": []string{"default", "tapline"}, "lease_duration": int(ttl.Seconds()), "renewable": true,
	}
}

// authenticated answers what takes a token.
func (s *Server) authenticated(a *answer, r *http.Request, path string, body []byte) {
	name := r.Header.Get("X-Vault-Token")
	t := s.tokens[name]
	if t == nil || !t.expires.IsZero() && !s.now().Before(t.expires) {
		delete(s.tokens, name)
		a.fail(http.StatusForbidden, "permission denied")
		return
	}
	left := 0
	if !t.expires.IsZero() {
		left = int(t.expires.Sub(s.now()).Seconds())
	}
	switch {
	case path == "auth/token/lookup-self" && r.Method == http.MethodGet:
		a.data(map[string]any{"id": name, "ttl": left, "renewable": t.renewable, "policies": []string{"default", "tapline"}})
	case path == "auth/token/renew-self" && r.Method == http.MethodPut:
		s.renew(a, name, t)
	case path == "sys/capabilities-self" && r.Method == http.MethodPost:
		s.capabilities(a, body)
	case path == "sys/internal/ui/mounts/"+Mount && r.Method == http.MethodGet:
		a.data(map[string]any{"type": "kv", "path": Mount + "/", "options": map[string]string{"version": "2"}})
	case strings.HasPrefix(path, Mount+"/"):
		part, key, _ := strings.Cut(strings.TrimPrefix(path, Mount+"/"), "/")
		s.engine(a, r, part, key, body)
	default:
		a.fail(http.StatusForbidden, "permission denied")
	}
}

func (s *Server) renew(a *answer, name string, t *token) {
	if !t.renewable {
		a.fail(http.StatusBadRequest, "lease is not renewable")
		return
	}
	s.renewals++
	t.expires = s.now().Add(t.ttl)
	if t.expires.After(t.last) {
		t.expires = t.last
	}
	a.write(http.StatusOK, map[string]any{"auth": auth(name, t.expires.Sub(s.now()))})
}

func (s *Server) capabilities(a *answer, body []byte) {
	var asked struct {
		Path string `json:"path"`
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		a.fail(http.StatusBadRequest, "no path")
		return
	}
	part, _, _ := strings.Cut(strings.TrimPrefix(asked.Path, Mount+"/"), "/")
	have := s.Rights[part]
	if len(have) == 0 || !strings.HasPrefix(asked.Path, Mount+"/") {
		have = []string{"deny"}
	}
	a.data(map[string]any{"capabilities": have, asked.Path: have})
}

func (s *Server) health(a *answer, r *http.Request) {
	code := http.StatusOK
	if s.Sealed {
		code = http.StatusServiceUnavailable
		_, _ = fmt.Sscan(r.URL.Query().Get("sealedcode"), &code) // the caller may choose
	}
	a.write(code, map[string]any{"initialized": true, "sealed": s.Sealed, "standby": false, "server_time_utc": s.now().Unix(), "version": "2.5.0"})
}
