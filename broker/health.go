package broker

import (
	"context"
	"time"

	"go.uber.org/zap"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"tapline/broker/alarm"
	"tapline/broker/store"
)

const (
	// healthEvery is how often the store is asked whether it still answers, and healthWithin how long it may take.
	healthEvery  = 2 * time.Second
	healthWithin = time.Second
)

// tellHealth sets what gRPC's health service answers, for each service by its name and for the whole.
func (b *Broker) tellHealth(serving bool) {
	state := healthpb.HealthCheckResponse_NOT_SERVING
	if serving {
		state = healthpb.HealthCheckResponse_SERVING
	}
	for name := range b.server.GetServiceInfo() {
		b.health.SetServingStatus(name, state)
	}
	b.health.SetServingStatus("", state)
}

// watchHealth keeps the answer true: a broker whose store is gone, or takes nothing any more, serves nobody.
func (b *Broker) watchHealth(ctx context.Context) error {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	var since time.Time // when it fell ill; zero while all is well
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		within, cancel := context.WithTimeout(ctx, healthWithin)
		err := b.well(within)
		cancel()
		if ctx.Err() != nil || (err == nil) == since.IsZero() {
			continue
		}
		b.tellHealth(err == nil)
		if err != nil {
			since = b.now()
			b.log.Error("the store does not answer, or takes no writes: nobody is served", zap.Error(err))
			continue
		}
		b.log.Info("the store answers again, and takes what is written")
		b.recovered(ctx, since)
		since = time.Time{}
	}
}

// well asks whether the store answers, and whether it takes writes where it did not take the last one.
func (b *Broker) well(ctx context.Context) error {
	if err := b.alive(ctx); err != nil {
		return err
	}
	if b.store.Unwritten() == nil {
		return nil
	}
	return b.store.Probe(ctx)
}

// recovered leaves an alarm of what is over: while it lasted it could not be written.
func (b *Broker) recovered(ctx context.Context, since time.Time) {
	err := b.store.Update(ctx, func(tx *store.Tx) error {
		now := b.now()
		return alarm.Raise(tx, alarm.StoreUnwritten, "", now, "the store did not answer, or took no writes, from %s on for %s",
			since.UTC().Format(time.RFC3339), now.Sub(since).Round(time.Second))
	})
	if err != nil {
		b.log.Error("no alarm of the store's trouble could be left", zap.Error(err))
	}
}

// unready says why the broker should get no new calls; empty when it may.
func (b *Broker) unready(ctx context.Context) string {
	select {
	case <-b.stopping:
		return "the broker is stopping"
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, healthWithin)
	defer cancel()
	if err := b.alive(ctx); err != nil {
		return "the store does not answer"
	}
	if b.store.Unwritten() != nil { // no text of the database's own: whoever asks here has shown no certificate
		return "the store takes no writes; tapctl status says why"
	}
	return ""
}
