package secret

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tapline/broker/acts"
	"tapline/broker/identity"
	"tapline/broker/lease"
	"tapline/broker/store"
	"tapline/broker/switchboard"
	"tapline/broker/vault"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

const (
	press   = record.StationID("plant/press/line-4/hmi-1")
	packing = record.StationID("plant/packing/line-2/hmi-1")
	canary  = "canary-4711-Secret"
)

// system is a directory with one password an account, which does what a real one does, and can be told to fail.
type system struct {
	mu        sync.Mutex
	passwords map[string]string
	before    func() error // of Set: an error means that nothing was set
	after     func() error // of Set: an error means that the reply was lost
	away      bool
	sets      int
}

func (d *system) Set(_ context.Context, account string, new vault.Secret) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return errors.New("no answer")
	}
	if d.before != nil {
		if err := d.before(); err != nil {
			return err
		}
	}
	d.sets++
	d.passwords[account] = string(new)
	if d.after != nil {
		return d.after()
	}
	return nil
}

func (d *system) Verify(_ context.Context, account string, s vault.Secret) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return false, errors.New("no answer")
	}
	return d.passwords[account] == string(s), nil
}

func (d *system) Window(context.Context) (time.Duration, error) { return time.Hour, nil }

// plant is a store with two stations and the accounts of the tests, and keepers on it.
type plant struct {
	t         *testing.T
	dir       string
	store     *store.Store
	vault     *vault.Vault
	acts      *acts.Log
	board     *switchboard.Board
	directory *system
	outside   Shelf
	keys      map[record.StationID]ed25519.PrivateKey
	now       time.Time
	seen      *observer.ObservedLogs
	log       *zap.Logger
	k         *Keeper
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{
		t: t, dir: t.TempDir(), board: &switchboard.Board{}, directory: &system{passwords: map[string]string{"svc": canary}},
		keys: map[record.StationID]ed25519.PrivateKey{}, now: time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC),
	}
	core, seen := observer.New(zap.DebugLevel)
	p.seen, p.log = seen, zap.New(core)
	var err error
	p.store, err = store.OpenSQLite(p.dir)
	p.must(err)
	t.Cleanup(func() { p.must(p.store.Close()) })
	p.must(p.store.Migrate(t.Context()))
	p.vault, err = vault.New(make([]byte, vault.KeySize))
	p.must(err)
	evidence, err := identity.LoadEvidence(t.Context(), p.store, p.vault, p.now)
	p.must(err)
	p.acts, err = acts.Open(t.Context(), p.store, p.vault, evidence, "plant", p.clock)
	p.must(err)
	p.do(func(tx *store.Tx) error {
		for _, a := range []*taplinev1.Account{
			{Id: "svc", Driver: "ldap"}, {Id: "hand", Driver: "manual"}, {Id: "operator", Driver: "local"}, {Id: "fixed", Driver: "none"},
		} {
			if _, err := tx.PutAccount(a); err != nil {
				return err
			}
		}
		return nil
	})
	p.station(press, "svc")
	p.station(packing, "svc")
	p.k = p.keeper()
	return p
}

func (p *plant) clock() time.Time { return p.now }

func (p *plant) keeper() *Keeper {
	return New(Config{
		Store: p.store, Vault: p.vault, Acts: p.acts, Board: p.board, Directory: p.directory, Outside: p.outside, Now: p.clock, Log: p.log,
	})
}

func (p *plant) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *plant) do(work func(*store.Tx) error) {
	p.t.Helper()
	p.must(p.store.Update(p.t.Context(), work))
}

// station makes an enrolled station that signs in.
func (p *plant) station(id record.StationID, account string) {
	p.t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	p.must(err)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	p.must(err)
	p.keys[id] = key
	p.do(func(tx *store.Tx) error {
		if _, err := tx.PutStation(&taplinev1.Station{Id: string(id), Account: account, Mode: taplinev1.Mode_MODE_SIGNIN}); err != nil {
			return err
		}
		if err := tx.SetStationJoin(id, store.Join{IdentityKey: spki, Sequence: 1, EnrolledAt: p.now}); err != nil {
			return err
		}
		return tx.SetStationState(id, taplinev1.StationState_STATION_STATE_ENROLLED, "")
	})
}

// open takes a lease, as a tap does.
func (p *plant) open(station record.StationID, session, account string) store.Lease {
	p.t.Helper()
	var l store.Lease
	p.do(func(tx *store.Tx) (err error) {
		l, err = lease.Take(tx, lease.Want{Session: record.SessionID(session), Station: station, Person: "p-1", Account: record.AccountID(account)}, p.now)
		return err
	})
	return l
}

func (p *plant) end(l store.Lease) {
	p.t.Helper()
	p.do(func(tx *store.Tx) error { return tx.EndLease(l.ID, "tap-out", p.now) })
}

// set tells the keeper a secret, as an administrator does.
func (p *plant) set(account string, station record.StationID, secret string) {
	p.t.Helper()
	placed, err := p.k.Place(p.t.Context(), &taplinev1.SetAccountSecretRequest{Account: account, Station: string(station), Secret: []byte(secret)})
	p.must(err)
	p.do(func(tx *store.Tx) error { return p.k.PutInForce(tx, placed, "olga") })
}

// request is what a station asks for a lease, and the key that opens the answer.
func (p *plant) request(l store.Lease) (*taplinev1.ReleaseSecretRequest, wire.SecretKey) {
	p.t.Helper()
	key, err := wire.NewSecretKey()
	p.must(err)
	digest := wire.SecretDigest(string(l.Session), key.Public())
	return &taplinev1.ReleaseSecretRequest{
		Session: string(l.Session), Fence: uint64(l.Fence), SessionKey: key.Public(), Proof: ed25519.Sign(p.keys[l.Station], digest[:]),
	}, key
}

// fetch is a station that fetches and opens the secret.
func (p *plant) fetch(l store.Lease) (string, error) {
	p.t.Helper()
	req, key := p.request(l)
	r, err := p.k.Release(p.t.Context(), l.Station, req)
	if err != nil {
		return "", err
	}
	info := wire.SecretInfo(string(l.Station), req.GetSession(), r.GetAccount(), r.GetExpiresAt().AsTime())
	plain, err := key.Open(r.GetEncapsulated(), info, r.GetCiphertext())
	return string(plain), err
}

// look lets the keepers work for a while.
func (p *plant) look(for_ time.Duration) error {
	var faults []error
	for end := p.now.Add(for_); p.now.Before(end); p.now = p.now.Add(lookEvery) {
		faults = append(faults, p.k.Look(p.t.Context()))
	}
	return errors.Join(faults...)
}

func (p *plant) status(account string) *taplinev1.AccountSecret {
	p.t.Helper()
	var all []*taplinev1.AccountSecret
	p.must(p.store.View(p.t.Context(), func(tx *store.Tx) (err error) {
		all, err = Status(tx, record.AccountID(account))
		return err
	}))
	if len(all) == 0 {
		return &taplinev1.AccountSecret{}
	}
	return all[0]
}

// records are what the broker's own chain says, as text.
func (p *plant) records() (types []record.Type, text []byte) {
	p.t.Helper()
	p.must(p.store.View(p.t.Context(), func(tx *store.Tx) error {
		found, err := tx.Records(store.Filter{}, 0, 1000)
		for _, r := range found {
			e, err := record.ParseEnvelope(r.Envelope)
			if err != nil {
				return err
			}
			payload, err := e.Payload()
			if err != nil {
				return err
			}
			types = append(types, payload.Type)
			text = append(text, r.Envelope...)
		}
		return err
	}))
	return types, text
}

func (p *plant) alarms() []string {
	p.t.Helper()
	var kinds []string
	p.must(p.store.View(p.t.Context(), func(tx *store.Tx) error {
		found, err := tx.Alarms(true, store.Page{Size: 100})
		for _, a := range found {
			kinds = append(kinds, a.Kind)
		}
		return err
	}))
	slices.Sort(kinds)
	return kinds
}

// logged is all that was logged, as text.
func (p *plant) logged() []byte {
	var b bytes.Buffer
	for _, e := range p.seen.All() {
		b.WriteString(e.Message)
		for _, f := range e.Context {
			b.WriteString(f.String)
			if err, ok := f.Interface.(error); ok {
				b.WriteString(err.Error())
			}
		}
	}
	return b.Bytes()
}
