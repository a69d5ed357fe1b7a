package tlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"tapline/broker/alarm"
	"tapline/broker/store"
	"tapline/proto/checkpoint"
)

const (
	// Every is how often the log is looked at, and so how long a record waits for a checkpoint at most, about.
	Every = time.Second
	// Term is how long another broker watches a leader that does not extend the log before it takes over.
	Term = 6 * time.Second
	// patience is how long records wait before another broker begins to watch.
	patience = 2 * time.Second
	// renewEvery is how often a leader that has nothing to do says that it is there, where there may be others. A broker that has the store for itself
	// writes nothing while it is at rest.
	renewEvery = Term / 3
	// batch is how many records one transaction takes into the tree.
	batch = 2000
	// lateAfter is when records that are in no checkpoint become an alarm.
	lateAfter = time.Minute
)

// Config is what a Log works with.
type Config struct {
	Store *store.Store
	Key   *Key
	// Data is the folder for the published checkpoint.
	Data string
	// Holder names this process among the brokers on the store.
	Holder    string
	Witnesses []Witness
	Now       func() time.Time
	Log       *zap.Logger
}

// Log is one broker's part in the log. Run it once; the other methods are safe for concurrent use.
type Log struct {
	Config
	wake chan struct{}

	// Owned by Run.
	leading bool
	renewed time.Time        // when it said so last
	filed   uint64           // size of the checkpoint in the file
	signed  time.Time        // when this process published last
	alarmed time.Time        // when it raised the alarm that records wait
	fault   func(step) error // of tests: what goes wrong at a step

	mu     sync.Mutex // guards what follows
	state  State
	grown  chan struct{}         // closed when a newer checkpoint is seen
	seen   checkpoint.Checkpoint // the newest that was published, as far as this process knows; changed by Run alone
	forked error                 // why nothing is signed any more

	witnesses map[string]WitnessState // by verifier key
}

// State is how the log stands, as far as this broker knows.
type State struct {
	Size      uint64    // of the newest checkpoint
	Lag       uint64    // records that are in none yet
	Published time.Time // when the newest checkpoint was; zero before the first
	Waiting   time.Time // since when there are records that are in no checkpoint; zero if there are none
	Epoch     uint64    // of the leader that wrote it
	Leads     bool      // this broker extends the log
	Fault     error     // the log forked or went back; nothing is signed any more
}

// step is a place between two writes at which a process may die.
type step string

// The steps of a checkpoint, in their order.
const (
	stepCommit  step = "before the commit"
	stepSign    step = "after the commit, before it is signed"
	stepFile    step = "after it is signed, before the file is written"
	stepPublish step = "after the file is written, before the store has it"
)

// New makes a log. What stands in the data folder must have been checked (Check).
func New(c Config) (*Log, error) {
	l := &Log{Config: c, wake: make(chan struct{}, 1), grown: make(chan struct{}), witnesses: map[string]WitnessState{}}
	_, last, ok, err := ReadFile(c.Data)
	if err != nil {
		return nil, err
	}
	if ok && last.Origin != c.Key.Origin {
		return nil, fmt.Errorf("published checkpoint: it is of log %s, and the store's log is %s", last.Origin, c.Key.Origin)
	}
	l.seen, l.filed = last, last.Size
	if !ok {
		l.seen.Root = checkpoint.EmptyRoot()
	}
	return l, nil
}

// Run extends the log, or looks on, until ctx ends.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		more, err := l.Look(ctx)
		if err != nil && ctx.Err() == nil {
			l.Log.Error("the log could not be extended", zap.Error(err))
		}
		if more && err == nil && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return l.resign(ctx)
		case <-l.wake:
		case <-tick.C:
		}
	}
}

// resign lets another broker go on at once.
func (l *Log) resign(ctx context.Context) error {
	if !l.leading {
		return nil
	}
	return l.Store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.Resign(l.Holder) })
}

// Look does what is due: it extends the log by a batch and publishes, if this broker leads, and takes note of what was published. more says that
// records are left.
func (l *Log) Look(ctx context.Context) (more bool, err error) {
	if l.broken() != nil {
		return false, nil // said when it was found
	}
	now := l.Now()
	found, err := l.look(ctx, now)
	if err != nil {
		return false, l.stop(ctx, err)
	}
	if l.due(found, now) {
		more, err = l.extend(ctx, now)
	} else {
		err = l.renew(ctx, now)
	}
	if err != nil {
		return false, l.stop(ctx, err)
	}
	return more, l.late(ctx, now)
}

// renew says that the leader is there.
func (l *Log) renew(ctx context.Context, now time.Time) error {
	if !l.leading || !l.Store.Shared() || now.Sub(l.renewed) < renewEvery && !now.Before(l.renewed) {
		return nil
	}
	l.leading = false
	_, err := l.lead(ctx, now)
	return err
}

// found is what the store says.
type found struct {
	records   uint64
	head      store.LogHead // committed
	published store.LogHead
	leader    string // empty for nobody
}

// due reports whether there is something to do, and it is for this broker to do it.
func (l *Log) due(f found, now time.Time) bool {
	if f.records == f.published.Size {
		return false
	}
	return f.leader == "" || f.leader == l.Holder || now.Sub(l.State().Waiting) >= patience
}

// look reads how the log stands and holds it to what this process has seen before.
func (l *Log) look(ctx context.Context, now time.Time) (found, error) {
	var f found
	var signed []byte
	err := l.Store.View(ctx, func(tx *store.Tx) (err error) {
		if f.records, err = tx.LastCursor(); err != nil {
			return err
		}
		if f.head, err = lastHead(tx); err != nil {
			return err
		}
		f.published, err = tx.Published(0)
		if errors.Is(err, store.ErrNotFound) {
			f.published, err = store.LogHead{Root: checkpoint.EmptyRoot()}, nil
		}
		if err != nil {
			return err
		}
		if f.published.Size > l.filed {
			signed = f.published.Checkpoint
		}
		leader, err := tx.Leader()
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		f.leader = leader.Holder
		return l.continues(tx, f)
	})
	if err != nil {
		return f, err
	}
	if signed != nil {
		if err := writeFile(l.Data, signed); err != nil {
			return f, err
		}
		l.filed = f.published.Size
	}
	l.note(f, now)
	return f, nil
}

// continues holds the store's log to the newest checkpoint that was seen. What was seen before is in the tree of it, so one look at each new head
// is enough.
func (l *Log) continues(tx *store.Tx, f found) error {
	if l.seen.Size == 0 || f.head.Size == l.seen.Size && f.head.Root == l.seen.Root {
		return nil
	}
	return Holds(tx, l.seen)
}

// note remembers what was found, and tells those who wait.
func (l *Log) note(f found, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	grew := f.published.Size > l.seen.Size
	if grew {
		l.seen = checkpoint.Checkpoint{Origin: l.Key.Origin, Size: f.published.Size, Root: f.published.Root}
		close(l.grown)
		l.grown = make(chan struct{})
	}
	s := &l.state
	s.Size, s.Published, s.Epoch = f.published.Size, f.published.At, f.published.Epoch
	s.Lag, s.Leads = f.records-min(f.records, s.Size), f.leader == l.Holder
	switch {
	case s.Lag == 0:
		s.Waiting = time.Time{}
	case grew || s.Waiting.IsZero() || s.Waiting.After(now): // a clock may step back, and the leader's may differ: only ours counts
		s.Waiting = now
	}
}

// stop keeps a fork for good, and raises the alarm for it once.
func (l *Log) stop(ctx context.Context, err error) error {
	if !errors.Is(err, ErrFork) && !errors.Is(err, ErrBehind) || l.broken() != nil {
		return err
	}
	l.mu.Lock()
	l.forked, l.state.Fault = err, err
	l.mu.Unlock()
	return errors.Join(err, l.Store.Update(ctx, func(tx *store.Tx) error {
		return alarm.Raise(tx, alarm.LogFork, "", l.Now(), "%v", err)
	}))
}

func (l *Log) broken() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.forked
}

// late raises an alarm when records wait too long for a checkpoint.
func (l *Log) late(ctx context.Context, now time.Time) error {
	s := l.State()
	if s.Waiting.IsZero() || now.Sub(s.Waiting) < lateAfter || now.Sub(l.alarmed) < lateAfter && !now.Before(l.alarmed) {
		return nil
	}
	l.alarmed = now
	return l.Store.Update(ctx, func(tx *store.Tx) error {
		return alarm.Raise(tx, alarm.LogLate, "", now, "%d records are in no checkpoint, the newest is of %s", s.Lag, s.Published.Format(time.RFC3339))
	})
}

// State is how the log stands.
func (l *Log) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Conditions are what needs somebody's eye now.
func (l *Log) Conditions() []string {
	var all []string
	s, now := l.State(), l.Now()
	switch {
	case s.Fault != nil:
		all = append(all, "the log is not signed any more: "+s.Fault.Error())
	case !s.Waiting.IsZero() && now.Sub(s.Waiting) >= lateAfter:
		all = append(all, fmt.Sprintf("%d records are in no checkpoint of the log", s.Lag))
	}
	for _, w := range l.WitnessStates() {
		if !w.Failed.IsZero() && now.Sub(w.Failed) >= lateAfter {
			all = append(all, fmt.Sprintf("witness %s does not cosign: %s", w.Name, w.Fault))
		}
	}
	return all
}

// Await waits until a checkpoint of at least a size was published, or ctx ends; it says whether.
func (l *Log) Await(ctx context.Context, size uint64) bool {
	for {
		l.mu.Lock()
		have, grown := l.seen.Size, l.grown
		l.mu.Unlock()
		if have >= size {
			return true
		}
		select {
		case l.wake <- struct{}{}:
		default:
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return false
		}
	}
}
