package trace_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapline/broker/trace"
)

func TestWithoutATraceASpanCostsNothing(t *testing.T) {
	ctx := t.Context()
	fault := errors.New("fault")
	n := testing.AllocsPerRun(1000, func() {
		inner, end := trace.Begin(ctx, "decide tap")
		trace.Count(inner, "records", 7)
		_, endRoot := trace.BeginRoot(inner, "ingest batch")
		endRoot(nil)
		end(fault)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	var off *trace.Tracer
	if off.Options() != nil || off.Start(ctx) != nil {
		t.Error("no tracer does something")
	}
	off.Stop()
}

func BenchmarkBeginOff(b *testing.B) {
	ctx := context.Background()
	for b.Loop() {
		_, end := trace.Begin(ctx, "decide tap")
		end(nil)
	}
}

func TestFaultsOfTheConfiguration(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.pem")
	if err := os.WriteFile(broken, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []trace.Config{
		{OTLP: "collector", Sample: 1.5, Insecure: true, CAFile: broken},
		{OTLP: ":4317", Sample: -1, Insecure: true, CAFile: "/nonexistent"},
		{OTLP: "collector:http", Sample: math.NaN(), Insecure: true, CAFile: broken},
	} {
		said := errors.Join(c.Check()...).Error()
		for _, want := range []string{"trace.otlp", "trace.sample", "trace.insecure", "trace.ca_file: "} {
			if !strings.Contains(said, want) {
				t.Errorf("%+v: no word of %s:\n%s", c, want, said)
			}
		}
	}
	if faults := (trace.Config{OTLP: "127.0.0.1:4317", Insecure: true}).Check(); len(faults) > 0 {
		t.Error(faults)
	}
}
