package broker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"tapline/broker/store"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// measure registers the metrics.
func (b *Broker) measure() error {
	records := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "tapline_records_total", Help: "Records stored, of all stations and of the broker's own chain.",
	}, b.countRecords)
	lines := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tapline_stations_connected", Help: "Stations with an open command stream.",
	}, func() float64 { return float64(len(b.board.Stations())) })
	b.calls = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "tapline_call_seconds", Help: "Time of a call, by method and outcome.",
		Buckets: prometheus.ExponentialBuckets(0.0002, 2.5, 12),
	}, []string{"method", "outcome"})
	var faults []error
	for _, c := range append(slices.Concat(b.storeMetrics(), b.tapMetrics(), b.limitMetrics(), b.certificateMetrics(), b.logMetrics(), b.directoryMetrics(), b.secrets.Collectors(), b.outsideMetrics()),
		records, lines, b.calls, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	) {
		faults = append(faults, b.metrics.Register(c))
	}
	return errors.Join(faults...)
}

// countRecords asks the store how many records it has. Whoever scrapes must not hang on a store that does: they get the last number then.
func (b *Broker) countRecords() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), healthWithin)
	defer cancel()
	var n uint64
	err := b.store.View(ctx, func(tx *store.Tx) (err error) {
		n, err = tx.LastCursor()
		return err
	})
	if err != nil {
		return float64(b.counted.Load())
	}
	b.counted.Store(n)
	return float64(n)
}

// logUnary logs and measures calls. Requests are never logged: they hold badge numbers.
func (b *Broker) logUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	begun := time.Now()
	resp, err := next(ctx, req)
	b.note(ctx, info.FullMethod, err, time.Since(begun))
	b.calls.WithLabelValues(info.FullMethod, wire.KindOf(err).String()).Observe(time.Since(begun).Seconds())
	if answer, ok := resp.(*taplinev1.OpenSessionResponse); ok && err == nil {
		b.decided(answer)
	}
	return resp, err
}

// logStream logs how streams end.
func (b *Broker) logStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	begun := time.Now()
	err := next(srv, stream)
	b.note(stream.Context(), info.FullMethod, err, time.Since(begun))
	return err
}

// note logs a call: one that failed inside as an error, one that was refused as a warning.
func (b *Broker) note(ctx context.Context, method string, err error, took time.Duration) {
	fields := []zap.Field{zap.String("method", method), zap.Duration("took", took)}
	if id, ok := ctx.Value(requestKey{}).(string); ok {
		fields = append(fields, zap.String("request", id))
	}
	if who, _, ok := wire.Caller(ctx); ok {
		fields = append(fields, zap.Stringer("caller", who))
	}
	switch wire.KindOf(err) {
	case wire.None:
		b.log.Debug("call", fields...)
	case wire.NotFound: // an answer like any other: "is there one?" is asked before something is made
		b.log.Info("call found nothing", append(fields, zap.String("error", wire.Text(err)))...)
	case wire.Cancelled, wire.Unavailable:
		b.log.Debug("call ended", append(fields, zap.String("error", wire.Text(err)))...)
	case wire.Internal:
		b.log.Error("call failed", append(fields, zap.String("error", wire.Text(err)))...)
	default:
		b.log.Warn("call refused", append(fields, zap.String("error", wire.Text(err)))...)
	}
}
