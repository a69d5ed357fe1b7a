package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"

	"tapline/broker/acts"
	"tapline/broker/admin"
	"tapline/broker/audit"
	"tapline/broker/bundle"
	"tapline/broker/claim"
	"tapline/broker/directory"
	"tapline/broker/gate"
	"tapline/broker/identity"
	"tapline/broker/ingest"
	"tapline/broker/news"
	"tapline/broker/office"
	"tapline/broker/officer"
	"tapline/broker/openbao"
	"tapline/broker/quota"
	"tapline/broker/roster"
	"tapline/broker/rulebook"
	"tapline/broker/secret"
	"tapline/broker/session"
	"tapline/broker/station"
	"tapline/broker/store"
	"tapline/broker/switchboard"
	"tapline/broker/sync"
	"tapline/broker/tlog"
	"tapline/broker/trace"
	"tapline/broker/vault"
	"tapline/proto/pin"
)

// Options is what a program gives a broker beside its configuration.
type Options struct {
	Build string
	Log   *zap.Logger
	// Now is the clock; nil for the machine's.
	Now func() time.Time
}

// Broker is a broker that is wired and not running.
type Broker struct {
	cfg   Config
	log   *zap.Logger
	now   func() time.Time
	build string

	store     *store.Store
	authority *identity.Authority
	acts      *acts.Log
	ingest    *ingest.Ingest
	stations  *station.Service
	admin     *admin.Service
	officers  *officer.Service
	audit     *audit.Service
	board     *switchboard.Board
	secrets   *secret.Keeper
	outside   *openbao.Client // nil where no outside vault is configured
	gate      *gate.Gate
	guard     *quota.Guard
	health    *health.Server
	news      *news.Feed
	sentry    *session.Sentry
	tree      *tlog.Log
	people    *sync.Syncer // nil where no LDAP directory is configured
	own       *identity.Own
	traces    *trace.Tracer // nil where no collector is configured
	server    *grpc.Server
	metrics   *prometheus.Registry
	calls     *prometheus.HistogramVec
	decisions *prometheus.CounterVec
	counted   atomic.Uint64 // records, when the store last said

	stored   chan struct{} // records were stored
	stale    chan struct{} // a station's bundle is out of date
	stopping chan struct{} // closed when Run ends
}

// pinsAtOnce bounds the memory that argon2id takes: 64 MiB each.
const pinsAtOnce = 4

// New checks the configuration, opens the store, and wires the parts. It starts nothing; Close gives back what Run would have.
func New(ctx context.Context, cfg Config, o Options) (*Broker, error) {
	if err := cfg.Fault(); err != nil {
		return nil, err
	}
	b := &Broker{
		cfg: cfg, log: o.Log, now: o.Now, build: o.Build, board: &switchboard.Board{}, metrics: prometheus.NewRegistry(),
		stored: make(chan struct{}, 1), stale: make(chan struct{}, 1), stopping: make(chan struct{}),
	}
	if b.log == nil {
		b.log = zap.NewNop()
	}
	if b.now == nil {
		b.now = time.Now
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	place, err := vault.FindPlace(cfg.MasterKey, cfg.Data, cfg.Site)
	if err != nil {
		return nil, err
	}
	if b.store, err = cfg.OpenStore(ctx); err != nil {
		return nil, err
	}
	if err := b.wire(ctx, place); err != nil {
		return nil, errors.Join(err, b.store.Close())
	}
	return b, nil
}

// wire makes the parts, each from those before it.
func (b *Broker) wire(ctx context.Context, place vault.Place) error {
	if err := b.store.Migrate(ctx); err != nil {
		return err
	}
	if err := b.checkLog(ctx); err != nil {
		return err
	}
	now := b.now()
	v, err := vault.Unlock(ctx, b.store, place, now)
	if err != nil {
		return err
	}
	if err := b.openLog(ctx, v); err != nil {
		return err
	}
	evidence, err := identity.LoadEvidence(ctx, b.store, v, now)
	if err != nil {
		return err
	}
	if b.authority, err = identity.LoadAuthority(ctx, b.store, v, b.cfg.Site, b.now); err != nil {
		return err
	}
	siteKey, err := identity.LoadSiteKey(ctx, b.store, v, now)
	if err != nil {
		return err
	}
	if err := b.store.Update(ctx, func(tx *store.Tx) error { return rulebook.EnsureDefault(tx, now) }); err != nil {
		return err
	}
	if b.acts, err = acts.Open(ctx, b.store, v, evidence, b.cfg.Site, b.now); err != nil {
		return err
	}
	registry := identity.NewRegistry(b.store, b.cfg.Site, b.now)
	registrar := &identity.Registrar{
		Store: b.store, Vault: v, Authority: b.authority, Evidence: evidence, SiteKey: siteKey, Now: b.now,
		Brokers: func() []string { return b.cfg.Brokers }, Forget: registry.Forget,
	}
	people, rules, pins, feed := directory.Directory{Vault: v}, &rulebook.Book{}, pin.NewChecker(pinsAtOnce), &audit.Feed{}
	b.gate = &gate.Gate{Registry: registry}
	b.guard = quota.New(b.cfg.Limits, gate.Open, time.Now) // what is too fast is so by the machine's own clock
	b.ingest = &ingest.Ingest{Store: b.store, Evidence: evidence, Now: b.now, Stored: func() { feed.Stored(); nudge(b.stored) }}
	b.stations = &station.Service{
		Store: b.store, Gate: b.gate, Registrar: registrar, Ingest: b.ingest, Quota: b.guard, Board: b.board, Now: b.now, Stopping: b.stopping, Stale: b.announceSoon,
		Desk:    &session.Desk{Store: b.store, Vault: v, Directory: people, Rules: rules, PINs: pins, Now: b.now},
		Bundles: &bundle.Maker{Store: b.store, Directory: people, Rules: rules, Evidence: evidence, SiteKey: siteKey, Now: b.now},
	}
	b.news = news.New(b.store, b.board, b.announceSoon, b.log)
	b.sentry = &session.Sentry{Store: b.store, Rules: rules, Now: b.now, Ended: b.news.Changed, Log: b.log}
	b.news.Stored = feed.Stored // by another broker
	b.news.Refresh = func(ctx context.Context) error { return b.followAuthority(ctx, registrar) }
	desk := office.Office{Store: b.store, Acts: b.acts, Now: b.now}
	b.stations.Claims = &claim.Desk{Office: desk, PINs: b.stations.Desk, Auto: b.cfg.AutoApproveBadges, Changed: b.news.Changed}
	writer := roster.Writer{Office: desk, Changed: b.news.Changed}
	if err := b.openDirectory(people, writer); err != nil {
		return err
	}
	if err := b.openSecrets(v); err != nil {
		return err
	}
	b.officers = &officer.Service{Office: desk, Authority: b.authority, Brokers: registrar.Brokers, Forget: registry.ForgetOfficer}
	if err := b.openLogin(); err != nil {
		return err
	}
	b.admin = &admin.Service{
		Office: desk, TwoPerson: b.cfg.TwoPerson, Directory: people, Roster: writer, Claims: b.stations.Claims, Sync: b.people, Rules: rules, Registrar: registrar, PINs: pins, Board: b.board,
		Secrets: b.secrets, Changed: b.news.Changed, Build: b.build, Started: now, Conditions: b.conditions,
	}
	b.audit = b.newAudit(evidence, feed)
	b.own = &identity.Own{Authority: b.authority, Hosts: b.cfg.Hosts, Now: b.now}
	if err := b.leaveAdmin(ctx); err != nil {
		return err
	}
	if b.cfg.Trace != nil {
		if b.traces, err = trace.New(*b.cfg.Trace, b.build, b.log.Named("trace")); err != nil {
			return err
		}
	}
	b.serve()
	return b.measure()
}

// newAudit makes the service of auditors.
func (b *Broker) newAudit(evidence *identity.Evidence, feed *audit.Feed) *audit.Service {
	return &audit.Service{
		Store: b.store, Evidence: evidence, Authority: b.authority, Log: b.tree, Feed: feed, Now: b.now, ClaimWithin: b.cfg.claimWithin(),
		Connected: b.board.Connected, Stopping: b.stopping,
	}
}

// nudge wakes a task that may be awake already.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// leaveAdmin leaves the identity of the administrator at this machine in the data folder.
func (b *Broker) leaveAdmin(ctx context.Context) error {
	dir := filepath.Join(b.cfg.Data, "admin")
	if err := officer.EnsureLocal(ctx, b.officers.Office); err != nil {
		return err
	}
	if err := b.authority.EnsureAdmin(ctx, dir, officer.SourceLocal); err != nil {
		return err
	}
	address := b.cfg.Brokers[0]
	if err := identity.WriteFile(filepath.Join(dir, identity.AdminBroker), []byte(address+"\n")); err != nil {
		return fmt.Errorf("admin identity: %w", err)
	}
	return nil
}

// conditions are what needs somebody's eye now.
func (b *Broker) conditions() []string {
	var all []string
	if net.ParseIP(b.cfg.Hosts[0]) != nil && net.ParseIP(b.cfg.Hosts[0]).IsLoopback() {
		all = append(all, "stations are told to call a loopback address: set hosts")
	}
	if c := b.authority.Condition(); c != "" {
		all = append(all, c)
	}
	if b.people != nil {
		all = append(all, b.people.Conditions()...)
	}
	if b.outside != nil {
		all = append(all, b.outside.Conditions()...)
	}
	all = append(all, b.tree.Conditions()...)
	ctx, cancel := context.WithTimeout(context.Background(), conditionsWithin)
	defer cancel()
	return append(all, b.store.Conditions(ctx)...)
}

// conditionsWithin bounds how long the store is asked about itself.
const conditionsWithin = time.Second

// Close closes the store of a broker that was not run.
func (b *Broker) Close() error { return b.store.Close() }
