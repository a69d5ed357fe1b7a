package sync_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"tapline/broker/acts"
	"tapline/broker/directory"
	"tapline/broker/identity"
	"tapline/broker/ldap/ldaptest"
	"tapline/broker/office"
	"tapline/broker/roster"
	"tapline/broker/store"
	"tapline/broker/sync"
	"tapline/broker/vault"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// plant is a broker's directory beside a real one.
type plant struct {
	testing.TB
	store     *store.Store
	directory directory.Directory
	options   sync.Options
	syncer    *sync.Syncer
	ahead     time.Duration
}

func newPlant(t testing.TB, c sync.Config) *plant {
	t.Helper()
	p := &plant{TB: t}
	var err error
	p.store, err = store.OpenSQLite(t.TempDir())
	p.must(err)
	t.Cleanup(func() { p.must(p.store.Close()) })
	p.must(p.store.Migrate(t.Context()))
	v, err := vault.New(make([]byte, vault.KeySize))
	p.must(err)
	p.directory = directory.Directory{Vault: v}
	evidence, err := identity.LoadEvidence(t.Context(), p.store, v, time.Now())
	p.must(err)
	log, err := acts.Open(t.Context(), p.store, v, evidence, "plant", p.now)
	p.must(err)
	p.options = sync.Options{
		Config: c, Store: p.store, Directory: p.directory, Log: zap.NewNop(), Now: p.now,
		Roster: roster.Writer{Office: office.Office{Store: p.store, Acts: log, Now: p.now}, Changed: func() {}},
		Lead:   func(context.Context) (bool, error) { return true, nil },
	}
	p.syncer, err = sync.New(p.options)
	p.must(err)
	return p
}

func (p *plant) now() time.Time { return time.Now().Add(p.ahead) }

func (p *plant) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// full synchronises as an administrator does who asks for it.
func (p *plant) full() sync.Report {
	p.Helper()
	r, err := p.syncer.Full(p.Context(), false)
	p.must(err)
	return r
}

// next does one synchronisation of the loop.
func (p *plant) next() sync.Report {
	p.Helper()
	r, err := p.syncer.Once(p.Context())
	p.must(err)
	return r
}

// run runs the syncer until the test ends or the function is called.
func (p *plant) run() (stop func()) { return run(p, p.syncer) }

func run(p *plant, s *sync.Syncer) (stop func()) {
	p.Helper()
	ctx, cancel := context.WithCancel(p.Context())
	var running errgroup.Group
	running.Go(func() error { return s.Run(ctx) })
	return func() {
		cancel()
		p.must(running.Wait())
	}
}

func (p *plant) view(read func(*store.Tx) error) {
	p.Helper()
	p.must(p.store.View(p.Context(), read))
}

// person is a person as stored; nil if there is none.
func (p *plant) person(id string) *taplinev1.PersonEntry {
	p.Helper()
	var e *taplinev1.PersonEntry
	p.view(func(tx *store.Tx) (err error) {
		e, err = tx.Person(record.PersonID(id))
		if errors.Is(err, store.ErrNotFound) {
			e, err = nil, nil
		}
		return err
	})
	return e
}

// roles are a person's, in one text.
func (p *plant) roles(id string) string { return strings.Join(p.person(id).GetRoles(), " ") }

// holder is who may use a badge; empty for nobody.
func (p *plant) holder(uid string) string {
	p.Helper()
	proof, err := p.directory.ReadProof("badge", &taplinev1.BadgeProof{Number: []byte("uid\x0032\x00" + uid), Technology: "iso14443a", Assurance: 1})
	p.must(err)
	who := ""
	p.view(func(tx *store.Tx) error {
		h, cause, err := p.directory.Holder(tx, proof.Lookup, p.now())
		if cause == 0 && err == nil {
			who = h.Person.GetId()
		}
		return err
	})
	return who
}

func (p *plant) expect(says string, ok bool) {
	p.Helper()
	if !ok {
		p.Errorf("not so: %s", says)
	}
}

// alarms are the kinds of alarm that are open.
func (p *plant) alarms() []string {
	p.Helper()
	var kinds []string
	p.view(func(tx *store.Tx) error {
		all, err := tx.Alarms(true, store.Page{Size: 100})
		for _, a := range all {
			kinds = append(kinds, a.Kind)
		}
		return err
	})
	slices.Sort(kinds)
	return kinds
}

// until waits for something that the loop does.
func (p *plant) until(limit time.Duration, done func() bool, says string) time.Duration {
	p.Helper()
	begun := time.Now()
	ldaptest.Until(p, limit, done, "not within %s: %s", limit, says)
	return time.Since(begun)
}
