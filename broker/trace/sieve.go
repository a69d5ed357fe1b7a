package trace

import (
	"context"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
)

// ours begins the names of our own attributes.
const ours = "tapline."

// complainEvery is how often the log says that the collector does not answer.
const complainEvery = 10 * time.Minute

// sieve lets through of a span only what is on the list, and keeps the exporter's errors to itself: they would go to a handler of the whole process.
type sieve struct {
	next sdktrace.SpanExporter
	log  *zap.Logger

	mu   sync.Mutex // guards said
	said time.Time
}

// ExportSpans sends spans.
func (s *sieve) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	out := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, span := range spans {
		out[i] = bare{span}
	}
	if err := s.next.ExportSpans(ctx, out); err != nil {
		s.complain(err)
	}
	return nil
}

func (s *sieve) complain(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.said) > complainEvery {
		s.said = now
		s.log.Warn("traces are lost: the collector does not take them", zap.Error(err))
	}
}

// Shutdown ends the exporter.
func (s *sieve) Shutdown(ctx context.Context) error { return s.next.Shutdown(ctx) }

// bare is a span without what might say who or where.
type bare struct{ sdktrace.ReadOnlySpan }

// Attributes are those on the list.
func (b bare) Attributes() []attribute.KeyValue { return listed(b.ReadOnlySpan.Attributes()) }

// Events are none: a message or an exception may hold anything.
func (b bare) Events() []sdktrace.Event { return nil }

// Status is the outcome without its message.
func (b bare) Status() sdktrace.Status { return sdktrace.Status{Code: b.ReadOnlySpan.Status().Code} }

// Links are those of spans, without attributes.
func (b bare) Links() []sdktrace.Link {
	var all []sdktrace.Link
	for _, l := range b.ReadOnlySpan.Links() {
		all = append(all, sdktrace.Link{SpanContext: l.SpanContext})
	}
	return all
}

// listed are the attributes that may go out: the method and outcome of a call, and our own numbers.
func listed(all []attribute.KeyValue) []attribute.KeyValue {
	var out []attribute.KeyValue
	for _, a := range all {
		switch key := string(a.Key); {
		case key == "rpc.system", key == "rpc.system.name", key == "rpc.service", key == "rpc.method", key == "rpc.grpc.status_code",
			key == "rpc.response.status_code", key == "error.type":
			out = append(out, a)
		case strings.HasPrefix(key, ours) && a.Value.Type() == attribute.INT64:
			out = append(out, a)
		}
	}
	return out
}
