package agent

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"tapline/agent/keystore"
	"tapline/agent/session"
	"tapline/agent/token"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// tokenKeyName is the key store's name for the key of tokens. It is no other key of the station: what it signs is for programs, and proves no record.
const tokenKeyName = "token-key"

// tokenAction is what the record of a token is called. A signature always has a meaning, and this has none, so that neither passes for the other.
const tokenAction = "token-issued"

// tokensInAMinute bounds what a program that asks in a loop can put into the journal.
const tokensInAMinute = 60

// mint makes tokens, not too many.
type mint struct {
	key ed25519.PrivateKey

	mu     sync.Mutex // guards the fields below
	minute time.Time
	made   int
}

// openMint takes up the station's key of tokens, or makes it. One that cannot be kept is good until the agent ends: nothing here keeps a station from
// starting.
func openMint(keys keystore.Store, log *zap.Logger) *mint {
	if seed, err := keys.Get(tokenKeyName); err == nil && len(seed) == ed25519.SeedSize {
		return &mint{key: ed25519.NewKeyFromSeed(seed)}
	}
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed)
	if err := keys.Put(tokenKeyName, seed); err != nil {
		log.Warn("the key of tokens cannot be kept: the next run has another", zap.Error(err))
	}
	return &mint{key: ed25519.NewKeyFromSeed(seed)}
}

// room takes one of this minute's tokens.
func (m *mint) room(now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if passed := now.Sub(m.minute); passed >= time.Minute || passed < 0 {
		m.minute, m.made = now, 0
	}
	if m.made++; m.made > tokensInAMinute {
		return wire.BusyFor(m.minute.Add(time.Minute).Sub(now), "more than %d tokens in a minute", tokensInAMinute)
	}
	return nil
}

// IssueToken makes a token that says who is here, for an audience that the configuration lets the caller have. uid is the caller's account, and owner set for
// root and the agent's own. The record of it is durable before the token is handed out.
func (a *Agent) IssueToken(ctx context.Context, req *taplinev1.IssueTokenRequest, uid int, owner bool) (*taplinev1.IssueTokenResponse, error) {
	if !owner && !a.settings().Tokens.may(req.GetAudience(), uid) {
		return nil, wire.E(wire.Denied, "this account gets no tokens for %q: an administrator can name it in tokens.audiences of the agent's configuration", req.GetAudience())
	}
	who, err := a.signer(ctx, "")
	if err != nil {
		return nil, err
	}
	now := a.clock.Trusted().UTC().Truncate(time.Second)
	if err := a.mint.room(now); err != nil {
		return nil, err
	}
	says := token.Says{
		ID: uuid.NewString(), Station: string(a.Station()), Person: string(who.Person.ID), Audience: req.GetAudience(), Session: string(who.Session),
		Issued: now, Expires: now.Add(token.Life), Methods: token.Methods(int(who.Badge.Assurance), who.Factors), Mode: string(who.Mode), Assurance: int(who.Badge.Assurance),
	}
	if req.GetWithName() {
		says.Name = who.Person.Name
	}
	text, err := token.Sign(a.mint.key, says)
	if err != nil {
		return nil, err
	}
	_, err = a.act(ctx, session.Acted{
		Session: who.Session, Decision: record.Decision{By: "station"},
		Action: record.Action{Application: req.GetAudience(), Name: tokenAction, Digest: record.Hash(sha256.Sum256([]byte(text)))},
	})
	if err != nil {
		return nil, err
	}
	return &taplinev1.IssueTokenResponse{Token: text, ExpiresAt: stamp(says.Expires)}, nil
}

// TokenKeys is the key set by which others check the station's tokens, as JSON (RFC 7517).
func (a *Agent) TokenKeys() (string, error) {
	public, _ := a.mint.key.Public().(ed25519.PublicKey)
	b, err := token.KeySet(public)
	return string(b), err
}

// TokensConfig says for whom tokens are made.
type TokensConfig struct {
	Audiences []AudienceConfig `yaml:"audiences"`
}

// AudienceConfig is one audience: whoever will read the tokens, as they call themselves.
type AudienceConfig struct {
	Name string `yaml:"name"`
	// Users are the accounts of the operating system whose programs get tokens for it, by name or number; none is any account of this machine.
	Users []string `yaml:"users"`
}

// may reports whether programs of an account get tokens for an audience.
func (c TokensConfig) may(audience string, uid int) bool {
	return slices.ContainsFunc(c.Audiences, func(a AudienceConfig) bool {
		return a.Name == audience && (len(a.Users) == 0 || slices.ContainsFunc(a.Users, func(name string) bool { return isUser(name, uid) }))
	})
}

func isUser(name string, uid int) bool {
	if uid < 0 {
		return false
	}
	if name == strconv.Itoa(uid) {
		return true
	}
	u, err := user.Lookup(name)
	return err == nil && u.Uid == strconv.Itoa(uid)
}

// check gives what is wrong with it.
func (c TokensConfig) check() []error {
	var faults []error
	seen := map[string]bool{}
	for i, a := range c.Audiences {
		if a.Name == "" || len(a.Name) > 255 {
			faults = append(faults, fmt.Errorf("tokens.audiences[%d].name: want 1 to 255 bytes, as the audience calls itself", i))
		}
		if seen[a.Name] {
			faults = append(faults, fmt.Errorf("tokens.audiences[%d].name %q: named twice", i, a.Name))
		}
		seen[a.Name] = true
	}
	return faults
}
