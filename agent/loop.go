package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"tapline/agent/journal"
	"tapline/agent/session"
	"tapline/proto/record"
)

// writeWithin is how long the station waits for a record to become durable before it goes on and says so; once one was that late, the next
// ones wait only stalledWithin, until one is in time again: a disk that hangs costs one person two seconds.
const (
	writeWithin   = 2 * time.Second
	stalledWithin = 20 * time.Millisecond
)

// inputQueue is how many events may wait for the loop; beyond it the readers wait.
const inputQueue = 64

// writer makes records durable; package journal has the real one.
type writer interface {
	Write(ctx context.Context, p record.Payload) (record.Seq, error)
}

// loopConfig is what a loop needs.
type loopConfig struct {
	Rules   session.Rules
	Journal writer
	Decider *decider
	// Badges gives the key for references of badge numbers.
	Badges func() []byte
	// Show takes what the person at the station is to see. It does not wait.
	Show func(screen)
	// Timed is told of each tap with a record.
	Timed     func(finishedTap)
	Heartbeat time.Duration
	Found     journal.Recovery
	Start     record.Start
	// Remember learns who was here from the records of sessions; nil for nobody.
	Remember func(record.Payload)
	// Healthy reports whether the journal takes records; nil means always. Fault is the word for why not.
	Healthy func() bool
	Fault   func() string
	// Acked is the newest record under a receipt, for the heartbeat.
	Acked func() record.Seq
	Log   *zap.Logger
}

// screen is one change of what the station shows: who is here, or a notice.
type screen struct {
	mode    record.Mode // in force
	who     session.Presence
	notice  *session.Notice
	waits   *session.Notice // a tap that waits for a PIN or a second person; nil for none
	durable bool            // the record behind it is on the disk
	// unclaimed are the emergencies that people still have to answer for.
	unclaimed []session.Emergency
}

// loop is the station's one goroutine that knows who is there. Everything that happens comes in through post, one after the other.
type loop struct {
	cfg     loopConfig
	log     *zap.Logger
	inputs  chan input
	ended   chan struct{} // closed when no input is read any more
	started time.Time
	timings timings
	urgent  urgency

	// Owned by run.
	state    session.State
	durable  bool          // the last record was
	stalled  bool          // the last record was not in time
	slow     bool          // a record says so
	fault    record.Reason // of the journal, as it was told last
	asked    sync.WaitGroup
	deciding int
	tries    map[record.SessionID]chan<- try // who waits for what comes of a PIN, by the session to be

	retimed chan struct{} // the heartbeat is another; holds one

	mu    sync.Mutex // guards rules and every
	rules session.Rules
	every time.Duration // between two heartbeats
}

// input is one event. done is closed when its effects were carried out.
type input struct {
	event session.Event
	read  readTiming
	done  chan struct{}
	// tried, if given, hears what came of a PIN.
	tried chan<- try
	// told, if given, gets the emergency in force as soon as the station shows it.
	told chan session.Emergency
	// acted, if given, gets the number of the record of it.
	acted chan<- record.Seq
	// look, if given, sees the state instead of an event.
	look func(session.State)
	// notice, if given, is shown instead.
	notice *session.Notice
}

func newLoop(cfg loopConfig) *loop {
	if cfg.Healthy == nil {
		cfg.Healthy = func() bool { return true }
	}
	if cfg.Remember == nil {
		cfg.Remember = func(record.Payload) {}
	}
	if cfg.Fault == nil {
		cfg.Fault = func() string { return "" }
	}
	if cfg.Timed == nil {
		cfg.Timed = func(finishedTap) {}
	}
	if cfg.Acked == nil {
		cfg.Acked = func() record.Seq { return 0 }
	}
	return &loop{
		cfg: cfg, log: cfg.Log, rules: cfg.Rules, inputs: make(chan input, inputQueue), ended: make(chan struct{}),
		retimed: make(chan struct{}, 1), every: cfg.Heartbeat,
		started: time.Now(), durable: true, tries: map[record.SessionID]chan<- try{}, timings: timings{open: map[record.SessionID]*tapTiming{}},
		urgent: urgency{presses: make(chan input, pressQueue)},
	}
}

// setRules changes the rules from the next event on.
func (l *loop) setRules(r session.Rules) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rules = r
}

func (l *loop) currentRules() session.Rules {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rules
}

// errEnded says that the loop takes nothing any more.
var errEnded = errors.New("the station is stopping")

// post lines an event up. It waits while the loop is busy, until ctx or the loop ends.
func (l *loop) post(ctx context.Context, in input) error {
	select {
	case l.inputs <- in:
		return nil
	case <-l.ended:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do posts an event and waits until it was dealt with.
func (l *loop) do(ctx context.Context, e session.Event) error {
	done := make(chan struct{})
	if err := l.post(ctx, input{event: e, done: done}); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-l.ended:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// look sees the state as it is between two events.
func (l *loop) look(ctx context.Context, see func(session.State)) error {
	done := make(chan struct{})
	if err := l.post(ctx, input{look: see, done: done}); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-l.ended:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run deals with events until ctx ends, then with the end itself.
func (l *loop) run(ctx context.Context) error {
	beat := time.NewTicker(l.heartbeat())
	defer beat.Stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	l.begin()
	for {
		l.schedule(timer)
		select {
		case in := <-l.urgent.presses:
			l.open(in)
			l.schedule(timer)
		default:
		}
		select {
		case <-ctx.Done():
			l.finish()
			return nil
		case in := <-l.urgent.presses:
			l.open(in)
		case in := <-l.inputs:
			l.handle(in)
		case <-timer.C:
			l.heal()
			l.handle(input{event: session.Tick{}})
		case <-l.retimed:
			beat.Reset(l.heartbeat())
		case <-beat.C:
			l.beat()
		}
	}
}

// schedule sets the timer for what time alone brings about.
func (l *loop) schedule(timer *time.Timer) {
	wait := time.Hour
	if t, ok := l.currentRules().Deadline(l.state); ok {
		wait = max(0, time.Until(t))
	}
	if !l.durable || l.fault != "" {
		wait = min(wait, healEvery)
	}
	timer.Reset(wait)
}

// healEvery is how often a station that shows somebody as not recorded yet looks whether the record is on the disk by now.
const healEvery = 500 * time.Millisecond

// heal shows who is there as recorded once the journal has written what it kept.
func (l *loop) heal() {
	if !l.cfg.Healthy() {
		return
	}
	if !l.durable {
		l.durable, l.stalled = true, false
		l.show(l.state.Presence(), nil)
	}
	l.tellJournal()
}

// begin says that the station is there, and closes what the last run left open.
func (l *loop) begin() {
	l.recall() // first: a station that was open stays so, whatever the disk is doing
	start := l.cfg.Start
	l.write(record.Payload{Type: record.StationStarted, Start: &start, Mode: l.currentRules().Mode})
	if l.cfg.Found.Open != nil {
		l.log.Warn("the last run left a session open", zap.String("session", string(l.cfg.Found.Open.Session)))
		l.handle(input{event: session.Found{Begun: *l.cfg.Found.Open}})
	}
	l.show(l.state.Presence(), nil)
}

// finish closes the session, waits for the answers that are on the way, so that no lease is kept, and says that the station is gone.
func (l *loop) finish() {
	l.handle(input{event: session.Shutdown{}})
	for l.deciding > 0 {
		l.handle(<-l.inputs)
	}
	l.tellTries()
	close(l.ended)
	l.asked.Wait()
	l.write(record.Payload{Type: record.StationStopped, Mode: l.mode()})
}

// handle takes one event in and carries out what follows from it, in order.
func (l *loop) handle(in input) {
	switch {
	case in.look != nil:
		in.look(l.state)
		close(in.done)
		return
	case in.notice != nil:
		l.show(l.state.Presence(), in.notice)
		return
	}
	if d, ok := in.event.(session.Decided); ok {
		l.deciding--
		l.timings.decided(d.Answer)
	}
	switch e := in.event.(type) {
	case session.Tapped:
		l.timings.began(e.Tap, in.read)
	case session.PINEntered:
		l.timings.began(session.Tap{Session: e.Next}, in.read)
	}
	var effects []session.Effect
	before := l.state.Emergency().ID
	l.state, effects = l.currentRules().Step(l.state, in.event, time.Now())
	if in.told != nil && l.state.Emergency().ID != before {
		l.durable = false // the station opens first
	}
	var told record.Seq
	var done []finishedTap
	for _, e := range effects {
		switch e := e.(type) {
		case session.Record:
			began := time.Now()
			told = l.write(e.Payload)
			l.cfg.Remember(e.Payload)
			if tap, ok := l.timings.ended(e, time.Since(began)); ok {
				done = append(done, tap)
			}
		case session.Show:
			l.show(e.Presence, nil)
			in.answer(l.state.Emergency())
		case session.Tell:
			l.show(l.state.Presence(), &e.Notice)
		case session.Decide:
			l.show(l.state.Presence(), &session.Notice{Kind: session.Deciding})
			l.ask(e)
		case session.Extend:
			l.extend(e)
		case session.Release:
			l.cfg.Decider.release(e, told)
		}
	}
	for _, tap := range done {
		tap.log(l.log)
		l.cfg.Timed(tap)
	}
	l.tell(in, effects)
	in.recorded(told, effects)
	if in.done != nil {
		close(in.done)
	}
}

// show puts a change before those who look.
func (l *loop) show(who session.Presence, notice *session.Notice) {
	l.cfg.Show(screen{who: who, mode: l.mode(), notice: notice, waits: l.waits(), durable: l.durable, unclaimed: l.state.Unclaimed()})
}

// mode is the mode in force.
func (l *loop) mode() record.Mode { return l.state.Mode(l.currentRules().Mode) }

// answer tells whoever pressed, once.
func (in *input) answer(now session.Emergency) {
	if in.told != nil {
		in.told <- now
		in.told = nil
	}
}

// write makes a record durable, or leaves it to the journal to make it so later. It gives the record's number, 0 when that is not known yet.
func (l *loop) write(p record.Payload) record.Seq {
	within := writeWithin
	if l.stalled {
		within = stalledWithin
	}
	urgent, free := l.urgent.writing()
	defer free()
	ctx, cancel := context.WithTimeout(urgent, within)
	defer cancel()
	seq, err := l.cfg.Journal.Write(ctx, p)
	l.durable = err == nil
	if !errors.Is(err, context.Canceled) { // which says nothing of the disk
		l.stalled = errors.Is(err, context.DeadlineExceeded)
	}
	if err != nil {
		l.log.Error("record not durable yet", zap.String("type", string(p.Type)), zap.Error(err))
	}
	l.tellJournal()
	return seq
}

// ask has a tap decided and posts the answer. The answer outlives ctx, because a lease that it brings must be given back.
func (l *loop) ask(d session.Decide) {
	l.deciding++
	mode := l.mode()
	l.asked.Go(func() {
		answer := l.cfg.Decider.decide(context.Background(), d, mode)
		l.inputs <- input{event: session.Decided{Answer: answer}} // finish reads until all answers are in
	})
}

func (l *loop) extend(e session.Extend) {
	l.asked.Go(func() {
		answer := l.cfg.Decider.extend(context.Background(), e)
		_ = l.post(context.Background(), input{event: answer}) // too late is as good as never
	})
}
