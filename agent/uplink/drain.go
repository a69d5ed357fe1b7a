package uplink

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// drain sends the journal to the broker. One line uses it at a time.
type drain struct {
	u *Uplink
}

func newDrain(u *Uplink) *drain { return &drain{u: u} }

// run keeps the record stream of a line. What ends the line ends it; what is wrong with the records ends only the stream, which is tried again.
// A store that is away for a moment comes back soon, so the first rest is short.
func (d *drain) run(ctx context.Context, l *line) error {
	timing := d.u.cfg.Timing
	rest := &backoff.ExponentialBackOff{InitialInterval: timing.RetryFirst, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: timing.Stall}
	rest.Reset()
	for {
		began := time.Now()
		err := d.stream(ctx, l)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch wire.KindOf(err) {
		case wire.BadEvidence, wire.Stale:
			d.alarm(RecordsRefused, err)
		case wire.Unavailable, wire.Deadline, wire.Cancelled:
			return fmt.Errorf("record stream: %w", err)
		}
		if wait := wire.RetryAfter(err); wait > 0 {
			d.u.cfg.Log.Warn("the broker asks to come back later with records", zap.Duration("wait", wait), zap.Error(err))
			pause(ctx, wait+rand.N(wait)) // not all stations at the same moment
			continue
		}
		d.u.cfg.Log.Error("the record stream ended", zap.Error(err))
		if time.Since(began) >= timing.Stall {
			rest.Reset()
		}
		pause(ctx, rest.NextBackOff())
	}
}

func (d *drain) alarm(a Alarm, err error) {
	d.u.cfg.Log.Error("records: alarm", zap.String("alarm", string(a)), zap.Error(err))
	d.u.change(func(s *State) { s.Alarm, s.AlarmText = a, err.Error() })
}

// stream asks where the broker is, then sends from there on. It always ends with an error.
func (d *drain) stream(ctx context.Context, l *line) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		stream, err := l.client.StreamRecords(ctx)
		if err != nil {
			return err
		}
		s := &recordStream{d: d, stream: stream, room: make(chan struct{}, inFlight), late: make(chan struct{}), batch: firstBatch}
		defer s.forget()
		group.Go(func() error { return s.punctual(ctx) })
		from, err := s.ask(ctx)
		if err != nil {
			return err
		}
		group.Go(func() error { return s.send(ctx, from) })
		return s.receive()
	})
	return group.Wait()
}

// recordStream is one StreamRecords call.
type recordStream struct {
	d      *drain
	stream taplinev1.StationService_StreamRecordsClient
	room   chan struct{} // holds one for each batch in flight
	late   chan struct{} // closed when a receipt is overdue

	mu      sync.Mutex // guards what follows
	flights []flight   // batches in flight, oldest first
	batch   int        // records that the next batch may have: doubles with each receipt, so that a bad line still gets something across
	timer   *time.Timer
}

// flight is a batch that waits for its receipt.
type flight struct {
	last  record.Seq
	until time.Time
}

// ask gets the broker's newest receipt and returns the first record to send.
func (s *recordStream) ask(ctx context.Context) (record.Seq, error) {
	if err := s.takeOff(ctx, 0); err != nil {
		return 0, err
	}
	if err := s.stream.Send(&taplinev1.StreamRecordsRequest{Chain: string(s.d.u.cfg.Chain)}); err != nil {
		return 0, s.reason(err)
	}
	r, err := s.receipt()
	return r.Seq + 1, err
}

// reason is why sending failed, which gRPC tells the receiving side.
func (s *recordStream) reason(err error) error {
	if ignoreEOF(err) != nil {
		return err
	}
	_, err = s.stream.Recv()
	return err
}

// send sends batch after batch, and waits for records when there are none.
func (s *recordStream) send(ctx context.Context, from record.Seq) error {
	journal := s.d.u.cfg.Journal
	for {
		appended := journal.Appended()
		batch, err := nextBatch(journal, from, s.size())
		if err != nil {
			s.d.alarm(JournalUnreadable, err)
			return err
		}
		if len(batch) == 0 {
			select {
			case <-appended:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if err := s.sendBatch(ctx, from, batch); err != nil {
			return err
		}
		from += record.Seq(len(batch))
	}
}

func (s *recordStream) sendBatch(ctx context.Context, from record.Seq, batch [][]byte) error {
	if err := s.takeOff(ctx, from+record.Seq(len(batch))-1); err != nil {
		return err
	}
	err := s.stream.Send(&taplinev1.StreamRecordsRequest{Chain: string(s.d.u.cfg.Chain), FirstSeq: uint64(from), Records: batch})
	return ignoreEOF(err) // the receiving side has the reason
}

// size is how many records the next batch may have.
func (s *recordStream) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.batch
}

// nextBatch reads the records from seq on, as many as one message takes and at most limit.
func nextBatch(journal Journal, from record.Seq, limit int) ([][]byte, error) {
	var batch [][]byte
	size := 0
	if _, next := journal.Bounds(); from >= next {
		return nil, nil
	}
	for raw, err := range journal.Entries(from) {
		if err != nil {
			return nil, fmt.Errorf("read journal from %d: %w", from, err)
		}
		if len(batch) == limit || (len(batch) > 0 && size+len(raw) > batchBytes) {
			break
		}
		batch, size = append(batch, raw), size+len(raw)
	}
	return batch, nil
}

// receive takes receipts. A broker may cover several batches with one receipt, and one batch with several.
func (s *recordStream) receive() error {
	for {
		if _, err := s.receipt(); err != nil {
			return err
		}
	}
}

// receipt waits for the next receipt and checks it.
func (s *recordStream) receipt() (record.Receipt, error) {
	m, err := s.stream.Recv()
	if err != nil {
		return record.Receipt{}, err
	}
	if t := m.GetBrokerTime(); t != nil {
		s.d.u.cfg.OnTime(t.AsTime())
	}
	r, err := s.d.take(m)
	if err == nil {
		s.land(r.Seq)
	}
	return r, err
}
