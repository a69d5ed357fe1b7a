package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// inFlight is how many batches wait for their receipts at a time, as in an agent.
const inFlight = 4

// Upload sends every record that is not under a receipt, in batches of one size, past the line: the station must not be running. It gives the
// time from each batch to its receipt.
func (s *Station) Upload(ctx context.Context, size int) ([]time.Duration, error) {
	conn, err := wire.Dial(s.brokers()[0], s.tls)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	g, ctx := errgroup.WithContext(ctx)
	stream, err := taplinev1.NewStationServiceClient(conn).StreamRecords(ctx)
	if err != nil {
		return nil, err
	}
	u := &upload{station: s, stream: stream, room: make(chan struct{}, inFlight)}
	g.Go(func() error { return u.send(ctx, size) })
	g.Go(u.receive)
	err = g.Wait()
	return u.took, err
}

type upload struct {
	station *Station
	stream  taplinev1.StationService_StreamRecordsClient
	room    chan struct{} // one for each batch in flight

	mu   sync.Mutex // guards sent
	sent []time.Time

	took []time.Duration // owned by receive
}

func (u *upload) send(ctx context.Context, size int) error {
	j := u.station.journal
	first, all := uint64(j.under())+1, j.from(j.under()+1)
	for len(all) > 0 {
		n := min(size, len(all))
		select {
		case u.room <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		u.mu.Lock()
		u.sent = append(u.sent, time.Now())
		u.mu.Unlock()
		err := u.stream.Send(&taplinev1.StreamRecordsRequest{Chain: string(j.head().Chain), FirstSeq: first, Records: all[:n]})
		if err != nil {
			return fmt.Errorf("send records from %d: %w", first, err)
		}
		first, all = first+uint64(n), all[n:]
	}
	return u.stream.CloseSend()
}

func (u *upload) receive() error {
	want := u.station.journal.head().Seq
	for u.station.journal.under() < want {
		m, err := u.stream.Recv()
		if err != nil {
			return errors.Join(errors.New("the stream ended before the last receipt"), err)
		}
		u.mu.Lock()
		u.took = append(u.took, time.Since(u.sent[len(u.took)]))
		u.mu.Unlock()
		if err := u.station.journal.Acked(record.Envelope{}, record.Receipt{Seq: record.Seq(m.GetAckedSeq())}); err != nil {
			return err
		}
		<-u.room
	}
	return nil
}
