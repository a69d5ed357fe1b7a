package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"tapline/agent/clock"
	"tapline/agent/identity"
	"tapline/agent/journal"
	"tapline/agent/keystore"
	"tapline/agent/localapi"
	"tapline/agent/offline"
	"tapline/agent/panel"
	"tapline/agent/station"
	"tapline/agent/tries"
	"tapline/agent/uplink"
	"tapline/installer/osservice"
	"tapline/proto/ledger"
	"tapline/proto/pin"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/reader"
)

// Options are what a caller may give beside the configuration. The zero value runs a station on this machine.
type Options struct {
	// Build is the agent's version.
	Build string
	// Log is where the agent logs; nil is nowhere. Level, if given, changes how much, on Reload.
	Log   *zap.Logger
	Level *zap.AtomicLevel
	// Panel is where panel lines go; nil is nowhere.
	Panel io.Writer
	// Reload reads the configuration again; nil makes Reload an error.
	Reload func() (Config, error)
	// Machine is what hears the service manager's events; nil where none come.
	Machine *Machine

	// For tests: the readers, the clocks, the journal's disk and the line to the broker.
	Sources []reader.Source
	Clock   clock.Source
	Disk    ledger.FS
	Line    func(uplink.Config) Line
	// Drivers enforce the modes gate, lock and signin, in this order.
	Drivers []station.Driver
}

// Line is what the agent asks of its line to the broker; package uplink has the real one.
type Line interface {
	Caller
	// RequestBadge asks for a badge that was refused as unknown. Errors have a kind (package wire).
	RequestBadge(ctx context.Context, req *taplinev1.RequestBadgeRequest) (*taplinev1.RequestBadgeResponse, error)
	Run(ctx context.Context) error
	State() uplink.State
}

// Agent is one station's agent.
type Agent struct {
	cfg      Config
	opts     Options
	log      *zap.Logger
	troubles *troubles
	keys     keystore.Store
	identity *identity.Manager
	clock    *clock.Keeper
	journal  *journal.Journal
	found    journal.Recovery
	bundle   *offline.Keeper
	pins     *tries.Book
	memory   *offline.Memory
	mint     *mint
	line     Line
	hub      *hub
	panel    *panel.Panel
	web      *panel.Web // nil for none
	loop     *loop
	today    *today
	room     room
	desk     *desk
	api      *localapi.Server
	rack     *rack
	lines    *lines
	ring     *logRing
	metrics  *metrics
	started  time.Time

	helpers *station.Helpers
	keeper  *station.Keeper
	open    atomic.Bool // to whoever is there

	reloading sync.Mutex             // one reload at a time
	inForce   atomic.Pointer[Config] // the settings in force; cfg is as they were at the start
	moved     signal                 // the brokers of the configuration are others
}

// New checks the configuration and wires the parts. It opens the station's files, of which the journal is locked until Run ends, and starts
// nothing. An error has an exit code and a hint (package osservice).
func New(cfg Config, opts Options) (*Agent, error) {
	if err := cfg.Fault(); err != nil {
		return nil, err
	}
	if opts.Log == nil {
		opts.Log = zap.NewNop()
	}
	if opts.Panel == nil {
		opts.Panel = io.Discard
	}
	a := &Agent{cfg: cfg, opts: opts, troubles: &troubles{}, desk: &desk{readers: map[reader.Name]*readerState{}}, started: time.Now()}
	a.inForce.Store(&cfg)
	a.ring, a.metrics = &logRing{}, newMetrics()
	a.log = opts.Log.WithOptions(zap.WrapCore(a.troubles.watch), zap.WrapCore(a.ring.watch))
	if err := a.openIdentity(); err != nil {
		return nil, err
	}
	if err := a.openState(); err != nil {
		return nil, err
	}
	a.wire()
	if err := a.openPage(); err != nil {
		return nil, fmt.Errorf("open panel: %w", err)
	}
	return a, nil
}

// Folders of a station's state.
func identityDir(state string) string { return filepath.Join(state, "identity") }
func journalDir(state string) string  { return filepath.Join(state, "journal") }
func bundleDir(state string) string   { return filepath.Join(state, "bundle") }
func keysDir(state string) string     { return filepath.Join(state, "keys") }
func peopleDir(state string) string   { return filepath.Join(state, "people") }

// JournalDir is where a station keeps its journal.
func JournalDir(cfg Config) string { return journalDir(cfg.StateDir) }

// OpenKeys opens the station's key store.
func OpenKeys(cfg Config) (keystore.Store, error) {
	kind, err := keystore.ParseKind(cfg.KeyStore)
	if err != nil {
		return nil, osservice.Fault(osservice.Config, err, "set keystore in the configuration")
	}
	keys, err := keystore.Open(keystore.Config{Kind: kind, Dir: keysDir(cfg.StateDir)})
	if err != nil {
		return nil, osservice.Fault(osservice.Config, err, "run as the account that the agent was enrolled under, and see keystore in the configuration")
	}
	return keys, nil
}

func (a *Agent) openIdentity() (err error) {
	if a.keys, err = OpenKeys(a.cfg); err != nil {
		return err
	}
	a.identity, err = identity.Load(identityDir(a.cfg.StateDir), a.keys, identity.Options{Build: a.opts.Build, Log: a.log.Named("identity")})
	if errors.Is(err, identity.ErrNotEnrolled) {
		return osservice.Fault(osservice.Config, err, "make a token at the broker (\"tapctl token create STATION\"), then enrol with it: \"tapagent enrol\"")
	}
	if err != nil {
		return osservice.Fault(osservice.Config, err, "if the station's files cannot be brought back, enrol it again with \"tapagent enrol --replace\"")
	}
	if id := a.identity.Current(); a.cfg.Station != "" && record.StationID(a.cfg.Station) != id.Station {
		return osservice.Fault(osservice.Config, fmt.Errorf("the configuration is for station %s, this machine is enrolled as %s", a.cfg.Station, id.Station),
			"correct station in the configuration, or enrol again with \"tapagent enrol --replace\"")
	}
	return nil
}

// openState opens what the station holds between two runs.
func (a *Agent) openState() (err error) {
	id := a.identity.Current()
	source := a.opts.Clock
	if source == nil {
		if source, err = clock.OS(); err != nil {
			return err
		}
	}
	a.clock = clock.New(source)
	a.bundle, err = offline.Open(offline.Config{
		Dir: bundleDir(a.cfg.StateDir), Station: id.Station, Evidence: id.EvidenceKey, Log: a.log.Named("bundle"),
	})
	if err != nil {
		return osservice.Fault(osservice.Failure, err, "check the rights of "+bundleDir(a.cfg.StateDir))
	}
	a.mint = openMint(a.keys, a.log.Named("token"))
	if err := a.openPeople(); err != nil {
		return osservice.Fault(osservice.Failure, err, "check the rights of "+peopleDir(a.cfg.StateDir))
	}
	a.journal, a.found, err = journal.Open(journal.Config{
		Dir: journalDir(a.cfg.StateDir), Statement: id.Statement, Evidence: id.EvidenceKey, Keys: a.keys, Clock: a.clock,
		Ledger: ledger.Options{FS: a.opts.Disk}, Log: a.log.Named("journal"),
	})
	if err != nil {
		return osservice.Fault(osservice.Failure, err, journalHint(err, a.cfg.StateDir))
	}
	return nil
}

// wire makes the parts that run.
func (a *Agent) wire() {
	id := a.identity.Current()
	a.hub = newHub(id.Station)
	a.lines = &lines{out: a.opts.Panel}
	a.lines.on.Store(a.cfg.Panel == "terminal")
	a.panel = panel.New(a.lines, id.Station)
	a.line = a.newLine()
	decider := &decider{
		broker: a.line, bundle: a.bundle, clock: a.clock, within: func() time.Duration { return a.settings().DecideWithin }, log: a.log.Named("decide"),
		pins: a.pins, checker: pin.NewChecker(1), memory: a.memory,
	}
	a.loop = newLoop(loopConfig{
		Rules: a.cfg.Rules(), Journal: a.journal, Decider: decider, Badges: func() []byte { return a.identity.Current().BadgeKey },
		Show: a.show, Remember: a.memory.Note, Heartbeat: a.cfg.Heartbeat, Found: a.found, Log: a.log,
		Healthy: a.journal.Healthy, Fault: a.journal.Fault,
		Acked: func() record.Seq { return a.journal.Receipt().Seq },
		Start: a.startOf(), Timed: a.metrics.tap,
	})
	a.metrics.register(a)
	a.api = a.newAPI()
	a.today = &today{journal: a.journal, clock: a.clock}
	a.rack = newRack(a.openSources())
	a.wireMode()
}

// journalHint says what to do about a journal that does not open.
func journalHint(err error, state string) string {
	switch {
	case errors.Is(err, ledger.ErrLocked):
		return "another agent runs on this state folder: stop it first"
	case errors.Is(err, journal.ErrKeyLost), errors.Is(err, journal.ErrBehind):
		return "the chain cannot go on; enrol again with \"tapagent enrol --replace\": the old journal is kept beside the new one"
	case errors.Is(err, journal.ErrDamaged), errors.Is(err, ledger.ErrCorrupt):
		return "keep a copy of " + journalDir(state) + ", let \"tapaudit verify\" say what is wrong, then enrol again with --replace"
	}
	return "check the rights and the disk of " + journalDir(state)
}

// clip keeps words short enough for a record.
func clip(s string) string { return s[:min(len(s), 200)] }

// Station is the name of the station.
func (a *Agent) Station() record.StationID { return a.identity.Current().Station }

// drainWithin is how long an orderly stop waits for the broker to take the last records.
const drainWithin = 2 * time.Second

// Run runs the station until ctx ends, then closes the session and says so in the journal. It returns when all parts have ended, with the fault of
// the first that ended by itself.
//
// The parts end in an order: readers and local API first, then the loop, which writes the last records, then the line, which is given a moment
// to send them, then the journal.
func (a *Agent) Run(ctx context.Context) error {
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWriting()
	var journal errgroup.Group
	journal.Go(func() error { return a.journal.Run(writing) })

	calling, stopCalling := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCalling()
	calls, calling := errgroup.WithContext(calling)
	calls.Go(task("line to the broker", func() error { return a.line.Run(calling) }))
	calls.Go(task("memory", func() error { return a.memory.Run(calling) }))
	calls.Go(task("time", func() error { return a.keepFloor(calling) }))
	calls.Go(task("identity", func() error { return a.identity.Run(calling) }))

	err := a.runStation(ctx, calling)
	a.drain(ctx)
	stopCalling()
	err = errors.Join(err, calls.Wait())
	stopWriting()
	return errors.Join(err, journal.Wait(), a.journal.Close())
}

// runStation runs what a person at the station meets, until ctx or lost ends.
func (a *Agent) runStation(ctx, lost context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(lost, stop)()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(task("station", func() error { return a.loop.run(ctx) }))
	group.Go(task("sign-in", func() error { return a.runSignIn(ctx) }))
	group.Go(task("mode", func() error { return a.runMode(ctx) }))
	group.Go(task("local API", func() error { return a.api.Run(ctx) }))
	group.Go(task("mark of life", func() error { return a.live(ctx) }))
	group.Go(task("journal's room", func() error { return a.watchRoom(ctx) }))
	group.Go(task("logons", func() error { return a.watchLogons(ctx) }))
	group.Go(task("clock", func() error { return a.watchClock(ctx) }))
	group.Go(task("wake-up", func() error { return a.watchWake(ctx) }))
	group.Go(task("panel", func() error { return a.web.Run(ctx) }))
	group.Go(func() error {
		a.rack.run(ctx, a.runSource, func(had map[reader.Name]bool) { a.removed(ctx, had) })
		return nil
	})
	osservice.Ready(ctx)
	a.log.Info("station is up", zap.String("station", string(a.Station())), zap.String("build", a.opts.Build),
		zap.String("keys", a.keys.Where()), zap.Uint64("records", a.found.Records))
	return group.Wait()
}

// task names the part that failed.
func task(name string, run func() error) func() error {
	return func() error {
		if err := run(); err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
}

// drain waits until the broker has the last records, if there is a line.
func (a *Agent) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWithin)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		s := a.journal.Status()
		if !a.line.Connected() || s.Acked >= s.Head.Seq {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}
