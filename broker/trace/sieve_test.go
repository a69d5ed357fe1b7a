package trace

import (
	"context"
	"errors"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/zap"
)

// deaf is an exporter that fails and keeps what it was given.
type deaf struct{ got []sdktrace.ReadOnlySpan }

func (d *deaf) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	d.got = append(d.got, spans...)
	return errors.New("away")
}

func (d *deaf) Shutdown(context.Context) error { return nil }

func TestOfASpanOnlyWhatIsListedGoesOut(t *testing.T) {
	span := tracetest.SpanStub{
		Name: "tapline.v1.AdminService/SetPin", Status: sdktrace.Status{Code: codes.Error, Description: "Anna B. has no badge"},
		Attributes: []attribute.KeyValue{
			attribute.String("rpc.method", "tapline.v1.AdminService/SetPin"), attribute.String("error.type", "Internal"), attribute.Int("tapline.records", 3),
			attribute.String("tapline.person", "anna"), attribute.String("client.address", "10.0.0.7"), attribute.String("rpc.request.metadata.token", "secret"),
		},
		Events: []sdktrace.Event{{Name: "exception", Attributes: []attribute.KeyValue{attribute.String("exception.message", "04A1B2C3")}}},
		Links:  []sdktrace.Link{{Attributes: []attribute.KeyValue{attribute.String("name", "anna")}}},
	}.Snapshot()
	d := &deaf{}
	s := &sieve{next: d, log: zap.NewNop()}
	if err := s.ExportSpans(t.Context(), []sdktrace.ReadOnlySpan{span}); err != nil {
		t.Errorf("the exporter's error got out: %v", err)
	}
	out := d.got[0]
	if n := len(out.Attributes()); n != 3 {
		t.Errorf("%d attributes: %v", n, out.Attributes())
	}
	if out.Status().Description != "" || out.Status().Code != codes.Error || len(out.Events()) > 0 || len(out.Links()) != 1 || len(out.Links()[0].Attributes) > 0 {
		t.Errorf("status %v, events %v, links %v", out.Status(), out.Events(), out.Links())
	}
}
