// Package acts writes what administrators do as records of the broker's own chain, signed and linked like a station's.
//
// The admin service calls Write inside the update that does the act, so that there is no act without its record. The chain belongs to a station
// of its own, SITE/tapline/broker/1, whose identity is the evidence key; its epochs are sealed like everybody's. It comes with every export, and an
// auditor checks it with the same tool.
//
// A record holds who, which method, upon what, and the digest of the request with secrets taken out; never the request.
package acts

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"tapline/broker/identity"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/record"
)

// Log is the broker's own chain.
type Log struct {
	store   *store.Store
	vault   *vault.Vault
	now     func() time.Time
	station record.StationID
	chain   record.ChainID
	boot    string
	began   time.Time // of this process, with its monotonic reading
}

// secretName is where the private key of an epoch lies.
func secretName(chain record.ChainID) string { return "acts " + string(chain) }

// chainName is where the chain's ID lies.
const chainName = "acts-chain"

// Station is the name of the broker's own chain at a site.
func Station(site string) record.StationID { return record.StationID(site + "/tapline/broker/1") }

// Open opens the broker's own chain, making it at the first start.
func Open(ctx context.Context, s *store.Store, v *vault.Vault, e *identity.Evidence, site string, now func() time.Time) (*Log, error) {
	boot, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("own chain: %w", err)
	}
	l := &Log{store: s, vault: v, now: now, station: Station(site), boot: boot.String(), began: time.Now()}
	err = s.Update(ctx, func(tx *store.Tx) error {
		sealed, err := tx.Secret(chainName)
		if errors.Is(err, store.ErrNotFound) {
			return l.begin(tx, e)
		}
		if err != nil {
			return err
		}
		id, err := v.Open(chainName, sealed)
		l.chain = record.ChainID(id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("own chain: %w", err)
	}
	return l, l.SealIfDue(ctx)
}

// begin writes the statement of the chain.
func (l *Log) begin(tx *store.Tx, e *identity.Evidence) error {
	id, err := uuid.NewRandom()
	if err != nil {
		return err
	}
	l.chain = record.ChainID(id.String())
	evidence := e.Public()
	spki, err := x509.MarshalPKIXPublicKey(evidence.Ed25519())
	if err != nil {
		return err
	}
	key, err := l.newKey(tx)
	if err != nil {
		return err
	}
	now := l.now().UTC().Round(0)
	statement := record.StationStatement{
		V: record.Version, Station: l.station, Chain: l.chain, IdentityKey: spki, FirstKey: record.PublicKeyOf(key), EnrolledAt: now,
	}
	envelope, err := e.Sign(record.StationPayloadType, &statement)
	if err != nil {
		return err
	}
	err = tx.AddChain(store.Chain{ID: l.chain, Station: l.station, Statement: envelope.Bytes(), Head: statement.Head(), EnrolledAt: now})
	if err != nil {
		return err
	}
	return tx.PutSecret(chainName, l.vault.Seal(chainName, []byte(l.chain)), now)
}

// newKey makes the key of the next epoch over the one before.
func (l *Log) newKey(tx *store.Tx) (ed25519.PrivateKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed)
	name := secretName(l.chain)
	return ed25519.NewKeyFromSeed(seed), tx.PutSecret(name, l.vault.Seal(name, seed), l.now())
}

func (l *Log) key(tx *store.Tx) (ed25519.PrivateKey, error) {
	sealed, err := tx.Secret(secretName(l.chain))
	if err != nil {
		return nil, err
	}
	seed, err := l.vault.Open(secretName(l.chain), sealed)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("key of the epoch is damaged: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Act is what an administrator did.
type Act struct {
	Method string
	Actor  string
	Role   string
	Target string
	Digest record.Hash // of the request, secrets taken out
}

// Write adds a record of the act to what tx writes.
func (l *Log) Write(tx *store.Tx, a Act) error {
	err := l.extend(tx, func(c *record.Chain, key ed25519.PrivateKey) (record.Envelope, error) {
		return c.Next(record.Payload{
			Type: record.AdminAct, Time: l.time(),
			Admin: &record.Admin{Method: a.Method, Actor: a.Actor, Role: a.Role, Target: a.Target, Digest: a.Digest},
		}, key)
	})
	if err != nil {
		return fmt.Errorf("record the act: %w", err)
	}
	return nil
}

// Rotated adds the record of a shared account's new secret to what tx writes.
func (l *Log) Rotated(tx *store.Tx, account record.AccountID, s record.Secret) error {
	err := l.extend(tx, func(c *record.Chain, key ed25519.PrivateKey) (record.Envelope, error) {
		return c.Next(record.Payload{Type: record.SecretRotated, Time: l.time(), Account: account, Secret: &s}, key)
	})
	if err != nil {
		return fmt.Errorf("record the rotation: %w", err)
	}
	return nil
}

// SealIfDue ends the epoch when it is time, also one without records. Call it at least every half hour.
func (l *Log) SealIfDue(ctx context.Context) error {
	return l.store.Update(ctx, l.sealIfDue)
}

func (l *Log) sealIfDue(tx *store.Tx) error {
	c, err := l.resume(tx)
	if err != nil || !c.SealDue(l.now()) {
		return err
	}
	old, err := l.key(tx)
	if err != nil {
		return err
	}
	next, err := l.newKey(tx)
	if err != nil {
		return err
	}
	return l.append(tx, c, func() (record.Envelope, error) {
		return c.Seal(record.Payload{Time: l.time()}, old, record.PublicKeyOf(next))
	})
}

// extend writes one record, after the seal that may be due before it.
func (l *Log) extend(tx *store.Tx, sign func(*record.Chain, ed25519.PrivateKey) (record.Envelope, error)) error {
	if err := l.sealIfDue(tx); err != nil {
		return err
	}
	c, err := l.resume(tx)
	if err != nil {
		return err
	}
	key, err := l.key(tx)
	if err != nil {
		return err
	}
	return l.append(tx, c, func() (record.Envelope, error) { return sign(c, key) })
}

// resume takes the chain up where the store has it. The head is kept by the store alone, so an update that fails leaves nothing to undo.
func (l *Log) resume(tx *store.Tx) (*record.Chain, error) {
	c, err := tx.Chain(l.chain)
	if err != nil {
		return nil, err
	}
	return record.ResumeChain(record.StationStatement{Station: l.station, Chain: l.chain}, c.Head)
}

func (l *Log) append(tx *store.Tx, c *record.Chain, sign func() (record.Envelope, error)) error {
	from := c.Head()
	e, err := sign()
	if err != nil {
		return err
	}
	p, err := e.Payload()
	if err != nil {
		return err
	}
	if err := c.Commit(e); err != nil {
		return err
	}
	return tx.Append(from, c.Head(), []record.Entry{{Envelope: e, Payload: p}}, func(int) bool { return true }, l.now())
}

// time is the broker's time. Its clock is the one that all others are told by; its boot is the life of this process.
func (l *Log) time() record.Time {
	return record.Time{Wall: l.now().UTC().Round(0), Boot: l.boot, Monotonic: int64(time.Since(l.began)), State: record.ClockAgrees}
}
