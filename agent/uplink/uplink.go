package uplink

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// Uplink is the station's line to its brokers. Its methods may be called from several goroutines; Run only once.
type Uplink struct {
	cfg    Config
	line   atomic.Pointer[line] // the line that has answered; nil when there is none
	drain  *drain
	closes closeQueue

	telling sync.Mutex // held over a change of state and its telling, so that changes are told in order
	mu      sync.Mutex // guards state
	state   State
}

// New makes an Uplink that is not connected yet.
func New(cfg Config) *Uplink {
	u := &Uplink{cfg: cfg.withDefaults()}
	u.drain = newDrain(u)
	u.closes.wake = make(chan struct{}, 1)
	u.state = State{Reason: "not dialled yet", Since: time.Now(), Acked: cfg.LastReceipt.Seq}
	if u.cfg.Brokers == nil {
		return u
	}
	if brokers := u.cfg.Brokers(); len(brokers) > 0 {
		u.state.Broker = brokers[0]
	}
	return u
}

// Run keeps the line up until ctx ends, then returns nil.
func (u *Uplink) Run(ctx context.Context) error {
	retry := &backoff.ExponentialBackOff{
		InitialInterval: u.cfg.Timing.RetryFirst, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: u.cfg.Timing.RetryMax,
	}
	retry.Reset()
	for turn := 0; ctx.Err() == nil; {
		brokers := u.cfg.Brokers()
		if len(brokers) == 0 {
			u.away("", "no broker is known")
			u.pauseOrMove(ctx, retry.NextBackOff())
			continue
		}
		began := time.Now()
		err := u.hold(ctx, brokers[turn%len(brokers)])
		if ctx.Err() != nil {
			break
		}
		if err == nil { // the identity changed: the same broker again, at once
			continue
		}
		u.cfg.Log.Warn("the line to the broker ended", zap.String("broker", brokers[turn%len(brokers)]), zap.Error(err))
		if u.cfg.OnRefused != nil && wire.KindOf(err) == wire.Unauthenticated {
			u.cfg.OnRefused()
		}
		if time.Since(began) >= u.cfg.Timing.Stable {
			retry.Reset()
		}
		turn++
		if turn%len(brokers) == 0 || time.Since(began) < u.cfg.Timing.RetryFirst {
			u.pauseOrMove(ctx, retry.NextBackOff())
		}
	}
	u.away("", "the agent stops")
	return nil
}

// pauseOrMove waits before the next attempt; a machine that wakes up, or other brokers, end it.
func (u *Uplink) pauseOrMove(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-u.cfg.Moved():
	case <-timer.C:
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Connected reports whether there is a line. It is one read of memory.
func (u *Uplink) Connected() bool { return u.line.Load() != nil }

func (u *Uplink) away(broker, reason string) {
	u.change(func(s *State) {
		s.Connected, s.Reason = false, reason
		if broker != "" {
			s.Broker = broker
		}
	})
}

// OpenSession asks the broker for a session, within the deadline of ctx. The error matches ErrAway when there is no line; when it was
// the line that failed, there is none from now on.
func (u *Uplink) OpenSession(ctx context.Context, req *taplinev1.OpenSessionRequest) (*taplinev1.OpenSessionResponse, error) {
	return call(ctx, u, func(ctx context.Context, c taplinev1.StationServiceClient) (*taplinev1.OpenSessionResponse, error) {
		return c.OpenSession(ctx, req)
	})
}

// RequestBadge asks the broker for a badge that it refused as unknown, within the deadline of ctx. Errors are as those of OpenSession.
func (u *Uplink) RequestBadge(ctx context.Context, req *taplinev1.RequestBadgeRequest) (*taplinev1.RequestBadgeResponse, error) {
	return call(ctx, u, func(ctx context.Context, c taplinev1.StationServiceClient) (*taplinev1.RequestBadgeResponse, error) {
		return c.RequestBadge(ctx, req)
	})
}

// NameBadge asks the broker whose badge it is, within the deadline of ctx. Errors are as those of OpenSession.
func (u *Uplink) NameBadge(ctx context.Context, req *taplinev1.NameBadgeRequest) (*taplinev1.NameBadgeResponse, error) {
	return call(ctx, u, func(ctx context.Context, c taplinev1.StationServiceClient) (*taplinev1.NameBadgeResponse, error) {
		return c.NameBadge(ctx, req)
	})
}

// VerifyPin asks the broker whether a PIN is that of whoever is here, within the deadline of ctx. Errors are as those of OpenSession.
func (u *Uplink) VerifyPin(ctx context.Context, req *taplinev1.VerifyPinRequest) (*taplinev1.VerifyPinResponse, error) {
	return call(ctx, u, func(ctx context.Context, c taplinev1.StationServiceClient) (*taplinev1.VerifyPinResponse, error) {
		return c.VerifyPin(ctx, req)
	})
}

// ExtendSession asks the broker to keep a lease, within the deadline of ctx. Errors are as those of OpenSession.
func (u *Uplink) ExtendSession(ctx context.Context, req *taplinev1.ExtendSessionRequest) (*taplinev1.ExtendSessionResponse, error) {
	return call(ctx, u, func(ctx context.Context, c taplinev1.StationServiceClient) (*taplinev1.ExtendSessionResponse, error) {
		return c.ExtendSession(ctx, req)
	})
}

// ReleaseSecret asks for the secret of a session's account. Errors are as those of OpenSession.
func (u *Uplink) ReleaseSecret(ctx context.Context, req *taplinev1.ReleaseSecretRequest) (*taplinev1.ReleaseSecretResponse, error) {
	return call(ctx, u, func(ctx context.Context, c taplinev1.StationServiceClient) (*taplinev1.ReleaseSecretResponse, error) {
		return c.ReleaseSecret(ctx, req)
	})
}

// TakeRotation asks for a secret that the station is to set.
func (u *Uplink) TakeRotation(ctx context.Context, req *taplinev1.TakeRotationRequest) (*taplinev1.TakeRotationResponse, error) {
	return call(ctx, u, func(ctx context.Context, c taplinev1.StationServiceClient) (*taplinev1.TakeRotationResponse, error) {
		return c.TakeRotation(ctx, req)
	})
}

// ReportRotation tells what became of it.
func (u *Uplink) ReportRotation(ctx context.Context, req *taplinev1.ReportRotationRequest) (*taplinev1.ReportRotationResponse, error) {
	return call(ctx, u, func(ctx context.Context, c taplinev1.StationServiceClient) (*taplinev1.ReportRotationResponse, error) {
		return c.ReportRotation(ctx, req)
	})
}

// call makes one call over the line in force.
func call[T any](ctx context.Context, u *Uplink, do func(context.Context, taplinev1.StationServiceClient) (T, error)) (T, error) {
	var none T
	l := u.line.Load()
	if l == nil {
		return none, ErrAway
	}
	answer, err := do(ctx, l.client)
	if err == nil {
		if t, ok := any(answer).(interface{ GetBrokerTime() *timestamp }); ok && t.GetBrokerTime() != nil {
			u.cfg.OnTime(t.GetBrokerTime().AsTime())
		}
		return answer, nil
	}
	switch k := wire.KindOf(err); {
	case k == wire.Unavailable || k == wire.Deadline:
		l.fail(err)
	case k == wire.Cancelled && ctx.Err() == nil: // the line ended under the call
		return none, wire.E(wire.Unavailable, "the line ended: %w", err)
	}
	return none, err
}
