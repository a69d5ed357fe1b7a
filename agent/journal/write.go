package journal

import (
	"context"
	"fmt"

	"tapline/proto/record"
)

// maxQueue is how many statements are kept while the disk takes none: days of a busy station. What comes on top is counted and dropped.
const maxQueue = 20_000

// request is one statement on its way to the disk.
type request struct {
	payload  record.Payload
	seq      record.Seq // once signed
	answered bool       // owned by Run
	done     chan result
}

type result struct {
	seq record.Seq
	err error
}

func newRequest(p record.Payload) *request { return &request{payload: p, done: make(chan result, 1)} }

// answer tells the writer, once.
func (r *request) answer(seq record.Seq, err error) {
	if r.answered {
		return
	}
	r.answered = true
	r.done <- result{seq, err}
}

// urgent says that the record may use the space that was set aside: it ends something that an earlier one began, says why others are missing, or is about an
// emergency, which is rare and must not be missing from the evidence of the very day on which much else went wrong.
func (r *request) urgent() bool {
	switch r.payload.Type {
	case record.SessionClosed, record.StationStopped, record.JournalDegraded, record.UnattributedEnded, record.EmergencyOpened, record.EmergencyClaimed:
		return true
	}
	return false
}

// Write makes p the next record: signed, chained and on the disk when the error is nil. It fills in everything about place and time.
//
// ErrDegraded says that the record is kept and will be written later; the caller goes on, and says so to the person. So does the error of ctx,
// which counts while Write waits: the record stays in line. ErrClosed says that the record is lost. Any other error says that p can be
// no record.
func (j *Journal) Write(ctx context.Context, p record.Payload) (record.Seq, error) {
	r := newRequest(p)
	if err := j.enqueue(r); err != nil {
		return 0, err
	}
	select {
	case res := <-r.done:
		return res.seq, res.err
	case <-ctx.Done():
		return 0, fmt.Errorf("write %s record: %w", p.Type, ctx.Err())
	}
}

// enqueue stamps and lines up in one step, so that the order of the chain is the order of the stamps.
func (j *Journal) enqueue(r *request) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return fmt.Errorf("write %s record: %w", r.payload.Type, ErrClosed)
	}
	r.payload.Time = j.stamp(r.payload.Mode)
	j.queue = append(j.queue, r)
	j.signal()
	return nil
}

// stamp is the time now. If the wall clock was moved, a record that says so goes before. mu must be held.
func (j *Journal) stamp(mode record.Mode) record.Time {
	way := record.Reason("ahead")
	if j.cfg.Clock.Step() < 0 {
		way = "back"
	}
	t := j.cfg.Clock.Stamp()
	if t.State != record.ClockWasStepped {
		return t
	}
	j.queue = append(j.queue, newRequest(record.Payload{Type: record.ClockStepped, Mode: mode, Reason: way, Time: t}))
	return j.cfg.Clock.Stamp()
}

// NoteClock writes a clock.stepped record if the wall clock was moved since the last record. It does not wait for the disk.
func (j *Journal) NoteClock(mode record.Mode) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed || j.cfg.Clock.Step() == 0 {
		return
	}
	j.stamp(mode)
	j.signal()
}
