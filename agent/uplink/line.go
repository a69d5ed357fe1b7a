package uplink

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

type timestamp = timestamppb.Timestamp

// errRenewed ends a line whose certificate or broker list is out of date.
var errRenewed = errors.New("the identity changed")

// line is one connection to one broker, from the dial to its first failure.
type line struct {
	u      *Uplink
	broker string
	client taplinev1.StationServiceClient
	bundle chan struct{} // a newer bundle may be there; holds one
	up     chan struct{} // closed when the command stream has answered

	answered sync.Once
	end      context.CancelCauseFunc
}

// hold keeps a line to broker until it fails or ctx ends. It returns nil when only the identity or the list of brokers changed.
func (u *Uplink) hold(ctx context.Context, broker string) error {
	changed, moved := u.cfg.Changed(), u.cfg.Moved()
	conn, err := wire.Dial(broker, u.cfg.TLS, u.cfg.DialOptions...)
	if err != nil {
		u.away(broker, err.Error())
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	l := &line{
		u: u, broker: broker, client: taplinev1.NewStationServiceClient(conn), end: end,
		bundle: make(chan struct{}, 1), up: make(chan struct{}),
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.commands(ctx) })
	group.Go(func() error { return l.whenUp(ctx, u.drain.run) })
	group.Go(func() error {
		return l.whenUp(ctx, func(ctx context.Context, l *line) error { return l.fetchBundles(ctx) })
	})
	group.Go(func() error { return l.whenUp(ctx, u.sendCloses) })
	group.Go(func() error {
		select {
		case <-changed:
			return errRenewed
		case <-moved:
			return errRenewed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	err = group.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	l.fail(err)
	if closeErr := conn.Close(); closeErr != nil {
		err = errors.Join(err, closeErr)
	}
	if errors.Is(err, errRenewed) {
		return nil
	}
	return err
}

// whenUp runs task once the command stream has answered.
func (l *line) whenUp(ctx context.Context, task func(context.Context, *line) error) error {
	select {
	case <-l.up:
		return task(ctx, l)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answer closes the breaker: the command stream has answered.
func (l *line) answer() {
	l.answered.Do(func() {
		l.u.line.Store(l)
		l.u.change(func(s *State) { s.Connected, s.Broker, s.Reason = true, l.broker, "" })
		close(l.up)
	})
}

// fail opens the breaker at once and ends the line. The first caller says why.
func (l *line) fail(err error) {
	if err == nil {
		err = context.Canceled
	}
	l.u.line.CompareAndSwap(l, nil)
	l.end(fmt.Errorf("broker %s: %w", l.broker, err))
	if l.u.line.Load() == nil {
		l.u.away(l.broker, err.Error())
	}
}
