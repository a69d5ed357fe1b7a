package renewal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tapline/broker/acts"
	"tapline/broker/admin"
	"tapline/broker/gate"
	"tapline/broker/identity"
	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/broker/switchboard"
	"tapline/broker/vault"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// host is what stations call the brokers by.
const host = "broker.test"

// replica is one broker on the store: everything of it that has to do with identities.
type replica struct {
	authority *identity.Authority
	registrar *identity.Registrar
	gate      *gate.Gate
	own       *identity.Own
	admin     *admin.Service
}

// site is a store with the brokers on it.
type site struct {
	dir      string
	now      func() time.Time // the brokers' clock
	vault    *vault.Vault
	store    *store.Store
	replicas []*replica
}

const replicas = 2

func openSite(ctx context.Context, dir string, now func() time.Time) (*site, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	v, err := vault.New(make([]byte, vault.KeySize))
	if err != nil {
		return nil, err
	}
	s := &site{dir: dir, now: now, vault: v}
	return s, s.start(ctx)
}

// start opens the store and starts the brokers.
func (s *site) start(ctx context.Context) (err error) {
	if s.store, err = store.OpenSQLite(s.dir); err != nil {
		return err
	}
	if err := s.store.Migrate(ctx); err != nil {
		return err
	}
	s.replicas = nil
	for range replicas {
		r, err := s.replica(ctx)
		if err != nil {
			return err
		}
		s.replicas = append(s.replicas, r)
	}
	return nil
}

func (s *site) replica(ctx context.Context) (*replica, error) {
	authority, err := identity.LoadAuthority(ctx, s.store, s.vault, "plant", s.now)
	if err != nil {
		return nil, err
	}
	evidence, err := identity.LoadEvidence(ctx, s.store, s.vault, s.now())
	if err != nil {
		return nil, err
	}
	siteKey, err := identity.LoadSiteKey(ctx, s.store, s.vault, s.now())
	if err != nil {
		return nil, err
	}
	book, err := acts.Open(ctx, s.store, s.vault, evidence, "plant", s.now)
	if err != nil {
		return nil, err
	}
	registry := identity.NewRegistry(s.store, "plant", s.now)
	registrar := &identity.Registrar{
		Store: s.store, Vault: s.vault, Authority: authority, Evidence: evidence, SiteKey: siteKey, Now: s.now,
		Brokers: func() []string { return []string{host + ":1", host + ":2"} }, Forget: registry.Forget,
	}
	return &replica{
		authority: authority, registrar: registrar, gate: &gate.Gate{Registry: registry},
		own: &identity.Own{Authority: authority, Hosts: []string{host}, Now: s.now},
		admin: &admin.Service{
			Office: office.Office{Store: s.store, Acts: book, Now: s.now}, Registrar: registrar, Board: &switchboard.Board{}, Changed: func() {},
		},
	}, nil
}

// restart stops every broker and starts them again.
func (s *site) restart(ctx context.Context) error {
	if err := s.store.Close(); err != nil {
		return err
	}
	return s.start(ctx)
}

// keepHouse is what brokers do every ten minutes.
func (s *site) keepHouse(ctx context.Context) error {
	for _, r := range s.replicas {
		if err := errors.Join(r.authority.Rotate(ctx), r.authority.PurgeCertificates(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// backup copies the store as it is; restore puts it back in the place of what came after.
func (s *site) backup(ctx context.Context) error { return s.stopped(ctx, s.dir, s.dir+".bak") }

func (s *site) restore(ctx context.Context) error { return s.stopped(ctx, s.dir+".bak", s.dir) }

func (s *site) stopped(ctx context.Context, from, to string) error {
	if err := s.store.Close(); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(from))); err != nil {
		return err
	}
	return s.start(ctx)
}

// token makes a token for a station, which it puts into the directory.
func (s *site) token(ctx context.Context, id record.StationID) (wire.Token, error) {
	r, err := s.replicas[0].admin.CreateToken(ctx, &taplinev1.CreateTokenRequest{Station: string(id)})
	if err != nil {
		return wire.Token{}, err
	}
	return wire.ParseToken(r.GetSecret())
}

// state is what a station is to the brokers.
func (s *site) state(ctx context.Context, id record.StationID) (state taplinev1.StationState, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		st, err := tx.Station(id)
		state = st.State
		return err
	})
	return state, err
}

// release picks a copy, as an administrator does who looked at the number that the real machine shows.
func (s *site) release(ctx context.Context, id record.StationID, join uint64) error {
	_, err := s.replicas[0].admin.ReleaseStation(ctx, &taplinev1.ReleaseStationRequest{Id: string(id), JoinSequence: join})
	return err
}

func (s *site) approve(ctx context.Context, id record.StationID) error {
	_, err := s.replicas[0].admin.ApproveRecovery(ctx, &taplinev1.ApproveRecoveryRequest{Id: string(id)})
	return err
}

// rotate takes the authority a step further; false when it is too early.
func (s *site) rotate(ctx context.Context, step string) (bool, error) {
	_, err := s.replicas[0].admin.RotateAuthority(ctx, &taplinev1.RotateAuthorityRequest{Step: step})
	if wire.KindOf(err) == wire.Precondition {
		return false, nil
	}
	return err == nil, err
}

// heard is what a broker notes when a station that is on the line tells which trust it has.
func (s *site) heard(ctx context.Context, id record.StationID, trust uint64) error {
	return s.store.Update(ctx, func(tx *store.Tx) error { return s.replicas[0].registrar.NoteTrust(tx, id, trust) })
}

// copyTree copies a folder of small files.
func copyTree(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("copy %s: %w", from, errors.Join(err, out.Close()))
	}
	return out.Close()
}
