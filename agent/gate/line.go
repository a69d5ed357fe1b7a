package gate

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// line is the half of a helper that speaks with the agent.
type line struct {
	cfg    Config
	shared *shared
}

// run speaks with the agent until ctx ends, and begins anew whenever that ends.
func (l *line) run(ctx context.Context) error {
	conn, err := grpc.NewClient("unix:"+l.cfg.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second}))
	if err != nil {
		return err
	}
	defer conn.Close()
	agent := taplinev1.NewLocalServiceClient(conn)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.emergencies(ctx, agent) })
	group.Go(func() error {
		pause := backoff.NewExponentialBackOff()
		pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, 2*time.Second
		for ctx.Err() == nil {
			began := time.Now()
			err := l.attached(ctx, agent)
			l.shared.letGo()
			if time.Since(began) > silentAfter {
				pause.Reset()
			}
			l.cfg.Log.Debug("no line to the agent", zap.Stringer("kind", wire.KindOf(err)), zap.Error(err))
			conn.ResetConnectBackoff()
			if !wait(ctx, pause.NextBackOff()) {
				return nil
			}
		}
		return nil
	})
	return group.Wait()
}

// attached is one stay. It ends when the agent does, and when it is silent.
func (l *line) attached(ctx context.Context, agent taplinev1.LocalServiceClient) error {
	if !l.serves() {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := agent.AttachHelper(ctx)
	if err != nil {
		return err
	}
	silent := time.AfterFunc(silentAfter, cancel)
	defer silent.Stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer cancel()
		return l.tell(ctx, stream)
	})
	group.Go(func() error {
		defer cancel()
		for {
			o, err := stream.Recv()
			if err != nil {
				l.shared.letGo() // before anything else
				return err
			}
			silent.Reset(silentAfter)
			l.shared.want(order{
				number: o.GetOrder(), shut: o.GetShut(), look: o.GetLook(), locked: o.GetLocked(),
				edge: o.GetEdge(), words: o.GetWords(), emergency: o.GetEmergencyWords(),
			})
		}
	})
	return group.Wait()
}

// serves reports whether there is anything that this helper can say.
func (l *line) serves() bool {
	l.shared.mu.Lock()
	defer l.shared.mu.Unlock()
	return l.shared.ours && time.Since(l.shared.alive) < stuckAfter
}

// tell reports each change, and again as a sign of life, as long as the display answers.
func (l *line) tell(ctx context.Context, stream taplinev1.LocalService_AttachHelperClient) error {
	again := time.NewTicker(speakEvery)
	defer again.Stop()
	for {
		if !l.serves() {
			return nil
		}
		if !l.shared.pressing() {
			if err := stream.Send(l.report()); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		case <-l.shared.reports:
		}
	}
}

func (l *line) report() *taplinev1.AttachHelperRequest {
	s := l.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &taplinev1.AttachHelperRequest{
		Order: s.now.order, Shut: s.now.shut, Reason: s.now.reason, Used: s.used, HeldByOther: s.now.heldByOther, Session: l.cfg.Session, Display: l.cfg.Display,
	}
	s.used = false
	return r
}

// tellWithin bounds one try to tell of an emergency.
const tellWithin = 2 * time.Second

// emergencies tells the agent of the button until it has heard. The station is open already.
func (l *line) emergencies(ctx context.Context, agent taplinev1.LocalServiceClient) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.shared.presses:
		}
		for told := false; !told; {
			told = l.tellEmergency(ctx, agent)
			if !told && !wait(ctx, 200*time.Millisecond) {
				return nil
			}
		}
		l.shared.told()
	}
}

func (l *line) tellEmergency(ctx context.Context, agent taplinev1.LocalServiceClient) bool {
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	_, err := agent.BeginEmergency(ctx, &taplinev1.BeginEmergencyRequest{Reason: "gate"})
	if err != nil {
		l.cfg.Log.Warn("the agent does not know of the emergency yet", zap.Error(err))
	}
	return err == nil
}

// wait is false when ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
