package broker

import (
	"context"
	"time"

	"go.uber.org/zap"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
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

// watchHealth keeps the answer true: a broker whose store is gone serves nobody.
func (b *Broker) watchHealth(ctx context.Context) error {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	was := true
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		within, cancel := context.WithTimeout(ctx, healthWithin)
		err := b.alive(within)
		cancel()
		if good := err == nil; good != was && ctx.Err() == nil {
			was = good
			b.tellHealth(good)
			if good {
				b.log.Info("the store answers again")
			} else {
				b.log.Error("the store does not answer", zap.Error(err))
			}
		}
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
	return ""
}
