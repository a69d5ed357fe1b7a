package uplink

import (
	"context"
	"time"

	"go.uber.org/zap"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// bundleWithin bounds one fetch.
const bundleWithin = 30 * time.Second

// fetchBundles looks for a newer bundle when the line comes up, when the broker says that there is one, and now and then.
func (l *line) fetchBundles(ctx context.Context) error {
	if l.u.cfg.OnBundle == nil {
		return nil
	}
	ticker := time.NewTicker(l.u.cfg.Timing.Bundle)
	defer ticker.Stop()
	for {
		if err := l.fetchBundle(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.bundle:
		case <-ticker.C:
		}
	}
}

// fetchBundle fails only with the line. A refusal, or a bundle that is not taken, leaves the one in hand in force.
func (l *line) fetchBundle(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, bundleWithin)
	defer cancel()
	answer, err := l.client.FetchBundle(within, &taplinev1.FetchBundleRequest{Have: l.u.cfg.Bundle()})
	if err != nil {
		if k := wire.KindOf(err); k == wire.Unavailable || k == wire.Deadline || k == wire.Cancelled {
			return err
		}
		l.u.cfg.Log.Warn("the broker gives no grant bundle", zap.Error(err))
		return nil
	}
	if len(answer.GetBundle()) == 0 {
		return nil
	}
	if err := l.u.cfg.OnBundle(answer.GetBundle()); err != nil {
		l.u.cfg.Log.Error("a grant bundle was not taken", zap.Uint64("sequence", answer.GetSequence()), zap.Error(err))
	}
	return nil
}
