// Package trace tells an OpenTelemetry collector how long the parts of a call took, where somebody asked for it.
//
// Package broker makes a Tracer when its configuration names a collector; without one there is no handler on the server, and Begin, which the parts
// call around what is worth a span, finds nothing in the context and does nothing. What goes out is bounded by a list: methods, outcomes and our own
// numbers. No span says who or where: no badge, PIN, token, secret, name, station or address of a caller, whatever a library or a later hand puts on it, because
// all else is dropped on the way out. What a caller says of traces is not believed: nobody outside decides what is sampled.
//
// Spans wait in a bounded queue; a collector that is away or slow costs spans and never a call. The package holds no state of the process.
package trace

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/stats"

	"tapline/proto/wire"
)

// Bounds of what the collector may cost.
const (
	exportWithin = 5 * time.Second
	flushWithin  = 3 * time.Second
	batchEvery   = 2 * time.Second
	queueOf      = 4096
)

// scope names the instrumentation of our own spans.
const scope = "tapline/broker"

// Tracer traces the calls of a broker. A nil Tracer traces nothing.
type Tracer struct {
	cfg      Config
	log      *zap.Logger
	provider *sdktrace.TracerProvider
}

// New makes a Tracer and starts nothing.
func New(cfg Config, build string, log *zap.Logger) (*Tracer, error) {
	if err := errors.Join(cfg.Check()...); err != nil {
		return nil, err
	}
	return &Tracer{cfg: cfg, log: log, provider: sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.sample()))),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "tapline-broker"), attribute.String("service.version", build))),
	)}, nil
}

// Options has the server traced.
func (t *Tracer) Options() []grpc.ServerOption {
	if t == nil {
		return nil
	}
	return []grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler(
		otelgrpc.WithTracerProvider(t.provider), otelgrpc.WithMeterProvider(noop.NewMeterProvider()),
		otelgrpc.WithPropagators(propagation.NewCompositeTextMapPropagator()), // none: a caller's trace is not ours
		otelgrpc.WithFilter(func(i *stats.RPCTagInfo) bool {
			return strings.HasPrefix(i.FullMethodName, "/tapline.v1.") && len(i.FullMethodName) < 128
		}),
	))}
}

// Start begins to export. It does not wait for the collector.
func (t *Tracer) Start(ctx context.Context) error {
	if t == nil {
		return nil
	}
	options := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(t.cfg.OTLP), otlptracegrpc.WithTimeout(exportWithin), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}),
	}
	if t.cfg.Insecure {
		options = append(options, otlptracegrpc.WithInsecure())
	} else {
		roots, err := wire.ReadRoots(t.cfg.CAFile)
		if err != nil {
			return fmt.Errorf("trace.ca_file: %w", err)
		}
		options = append(options, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots})))
	}
	e, err := otlptracegrpc.New(ctx, options...)
	if err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	t.provider.RegisterSpanProcessor(sdktrace.NewBatchSpanProcessor(&sieve{next: e, log: t.log},
		sdktrace.WithExportTimeout(exportWithin), sdktrace.WithBatchTimeout(batchEvery), sdktrace.WithMaxQueueSize(queueOf)))
	return nil
}

// Stop sends what waits, for a few seconds at most, and ends.
func (t *Tracer) Stop() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("the last traces were not sent", zap.Error(err))
	}
}

// Begin begins a span within the one of the context, if that is traced. Whoever calls it ends it with the outcome.
func Begin(ctx context.Context, name string) (context.Context, func(error)) {
	above := oteltrace.SpanFromContext(ctx)
	if !above.IsRecording() {
		return ctx, nothing
	}
	return begin(ctx, above, name)
}

// BeginRoot begins a span of a stream that lasts for hours: it is sampled by itself, and says which stream it belongs to.
func BeginRoot(ctx context.Context, name string) (context.Context, func(error)) {
	above := oteltrace.SpanFromContext(ctx)
	if !above.SpanContext().IsValid() {
		return ctx, nothing
	}
	return begin(ctx, above, name, oteltrace.WithNewRoot(), oteltrace.WithLinks(oteltrace.Link{SpanContext: above.SpanContext()}))
}

// Count puts a number on the span of the context.
func Count(ctx context.Context, name string, n int) {
	if s := oteltrace.SpanFromContext(ctx); s.IsRecording() {
		s.SetAttributes(attribute.Int(ours+name, n))
	}
}

func begin(ctx context.Context, above oteltrace.Span, name string, options ...oteltrace.SpanStartOption) (context.Context, func(error)) {
	ctx, s := above.TracerProvider().Tracer(scope).Start(ctx, name, options...)
	return ctx, func(err error) {
		if err != nil && s.IsRecording() {
			s.SetStatus(codes.Error, "")
			s.SetAttributes(attribute.String("error.type", wire.KindOf(err).String()))
		}
		s.End()
	}
}

func nothing(error) {}
