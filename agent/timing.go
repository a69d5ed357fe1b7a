package agent

import (
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"tapline/agent/session"
	"tapline/proto/record"
)

// readTiming is when a reader reported a badge, and how long reading it took.
type readTiming struct {
	at   time.Time
	took time.Duration
}

// tapTiming is what is known of a tap on its way.
type tapTiming struct {
	read   readTiming
	decide time.Duration
	by     string
}

// timings follows taps from the reader's event to the durable record. Owned by the loop, but for the totals.
type timings struct {
	open map[record.SessionID]*tapTiming

	mu     sync.Mutex // guards totals
	totals []time.Duration
	next   int
}

// keepTotals is how many taps the percentiles of the status screen are over.
const keepTotals = 1000

// maxOpen bounds what is kept of taps that ended without a record, such as bounces.
const maxOpen = 64

func (t *timings) began(tap session.Tap, read readTiming) {
	if len(t.open) >= maxOpen {
		clear(t.open)
	}
	one := &tapTiming{read: read}
	t.open[tap.Session] = one
	if tap.Spare != "" {
		t.open[tap.Spare] = one
	}
}

// waits forgets a tap that waits for a person: how long that takes says nothing of the station.
func (t *timings) waits(asked record.SessionID) { delete(t.open, asked) }

func (t *timings) decided(a session.Answer) {
	if tap := t.open[a.Session]; tap != nil {
		tap.decide, tap.by = time.Duration(a.Latency.Decide)*time.Microsecond, a.Decision.By
	}
}

// finishedTap is one tap with its record on the disk.
type finishedTap struct {
	tapTiming
	journal time.Duration
	total   time.Duration
	payload record.Payload
}

// ended is the end of a tap's way, if the record is the answer to one.
func (t *timings) ended(e session.Record, took time.Duration) (finishedTap, bool) {
	tap := t.open[e.Tap]
	if tap == nil {
		return finishedTap{}, false
	}
	delete(t.open, e.Tap)
	f := finishedTap{tapTiming: *tap, journal: took, total: time.Since(tap.read.at), payload: e.Payload}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.totals) < keepTotals {
		t.totals = append(t.totals, f.total)
	} else {
		t.totals[t.next%keepTotals] = f.total
	}
	t.next++
	return f, true
}

// percentiles are over the last taps: how many, half of them under p50, all but one in a hundred under p99.
func (t *timings) percentiles() (n int, p50, p99 time.Duration) {
	t.mu.Lock()
	all := slices.Clone(t.totals)
	t.mu.Unlock()
	if len(all) == 0 {
		return 0, 0, 0
	}
	slices.Sort(all)
	at := func(percent int) time.Duration { return all[max(0, (len(all)*percent+99)/100-1)] }
	return len(all), at(50), at(99)
}

// outcome is what came of the tap: "opened", "handed-over", "refused"; "other" for a record that is none of these.
func (f finishedTap) outcome() string {
	words := map[record.Type]string{record.SessionOpened: "opened", record.SessionHandedOver: "handed-over", record.TapRefused: "refused"}
	if w, ok := words[f.payload.Type]; ok {
		return w
	}
	return "other"
}

// decidedBy is who decided: "broker", "bundle", "emergency", "station".
func (f finishedTap) decidedBy() string {
	if f.by == "" {
		return "station"
	}
	return f.by
}

// log writes the one line that a tap has in the log. It names nobody.
func (f finishedTap) log(log *zap.Logger) {
	log.Info("tap",
		zap.String("outcome", f.outcome()), zap.String("reason", string(f.payload.Reason)), zap.String("decided_by", f.decidedBy()),
		zap.Int64("read_us", f.read.took.Microseconds()), zap.Int64("decide_us", f.decide.Microseconds()),
		zap.Int64("journal_us", f.journal.Microseconds()), zap.Int64("total_us", f.total.Microseconds()),
		zap.String("session", string(f.payload.Session)), zap.String("reader", f.payload.Reader))
}
