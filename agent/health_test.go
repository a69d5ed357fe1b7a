package agent

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	taplinev1 "tapline/proto/tapline/v1"
)

func TestWhatNeedsSomebodysEyeComesByUrgency(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	well := &taplinev1.GetStatusResponse{
		Readers: []*taplinev1.ReaderStatus{{Name: "left", Attached: true}},
		Broker:  &taplinev1.BrokerStatus{Connected: true, Since: timestamppb.New(now.Add(-time.Hour))},
		Bundle:  &taplinev1.BundleStatus{Sequence: 7, IssuedAt: timestamppb.New(now.Add(-time.Hour)), NotAfter: timestamppb.New(now.AddDate(0, 0, 20)), Tier: "all"},
		Journal: &taplinev1.JournalStatus{Seq: 10, Acked: 10}, ClockState: "agrees", CertificateExpiresAt: timestamppb.New(now.AddDate(0, 0, 5)),
	}
	for _, tt := range []struct {
		name  string
		spoil func(*taplinev1.GetStatusResponse)
		want  string
	}{
		{"all is well", func(*taplinev1.GetStatusResponse) {}, ""},
		{"one of two readers", func(s *taplinev1.GetStatusResponse) {
			s.Readers = append(s.Readers, &taplinev1.ReaderStatus{Name: "right", Reason: "reader-gone"})
		}, "WARNING readers"},
		{"no reader works", func(s *taplinev1.GetStatusResponse) { s.Readers[0].Attached = false }, "FAULT readers"},
		{"no reader", func(s *taplinev1.GetStatusResponse) { s.Readers = nil }, "FAULT readers"},
		{"the broker is away", func(s *taplinev1.GetStatusResponse) { s.Broker.Connected = false }, "WARNING broker"},
		{"away, and never any grants", func(s *taplinev1.GetStatusResponse) { s.Broker.Connected, s.Bundle = false, &taplinev1.BundleStatus{} }, "FAULT grants, WARNING broker"},
		{"away for weeks", func(s *taplinev1.GetStatusResponse) { s.Broker.Connected, s.Bundle.Tier = false, "emergency" }, "FAULT grants, WARNING broker"},
		{"away for days", func(s *taplinev1.GetStatusResponse) { s.Broker.Connected, s.Bundle.Tier = false, "essential" }, "WARNING broker, WARNING grants"},
		{"grants about to end", func(s *taplinev1.GetStatusResponse) { s.Bundle.NotAfter = timestamppb.New(now.Add(5 * time.Hour)) }, "WARNING grants"},
		{"the disk is full", func(s *taplinev1.GetStatusResponse) { s.Journal.Degraded, s.Journal.Reason = true, "disk-full" }, "FAULT journal"},
		{"the disk fills up", func(s *taplinev1.GetStatusResponse) { s.Journal.Low = true }, "WARNING journal"},
		{"the broker takes nothing", func(s *taplinev1.GetStatusResponse) { s.Journal.Seq = 5000 }, "WARNING journal"},
		{"the clock is wrong", func(s *taplinev1.GetStatusResponse) { s.ClockState = "differs" }, "WARNING clock"},
		{"the certificate ends tomorrow", func(s *taplinev1.GetStatusResponse) {
			s.CertificateExpiresAt = timestamppb.New(now.Add(20 * time.Hour))
		}, "WARNING certificate"},
		{"a copy of the station", func(s *taplinev1.GetStatusResponse) { s.IdentityCondition = "identity-cloned" }, "FAULT identity"},
		{"a mode that cannot be had", func(s *taplinev1.GetStatusResponse) {
			s.Mode = &taplinev1.ModeStatus{Wanted: taplinev1.Mode_MODE_GATE, InForce: taplinev1.Mode_MODE_ATTRIBUTE, Reason: "wayland"}
		}, "WARNING mode"},
		{"everything at once", func(s *taplinev1.GetStatusResponse) {
			s.Broker.Connected, s.Journal.Degraded, s.IdentityCondition, s.Readers = false, true, "identity-revoked", nil
		}, "FAULT readers, FAULT journal, FAULT identity, WARNING broker"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := proto.CloneOf(well)
			tt.spoil(s)
			var got []string
			for _, f := range findings(s, now) {
				got = append(got, strings.TrimPrefix(f.GetSeverity().String(), "SEVERITY_")+" "+f.GetPart())
				if f.GetHint() == "" || f.GetWhat() == "" {
					t.Errorf("%v says nothing", f)
				}
			}
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// quiet is a log that goes nowhere.
func quiet() zapcore.Core {
	return zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.DebugLevel)
}

func TestWhatHappensAgainAndAgainIsOneTrouble(t *testing.T) {
	var all troubles
	log := zap.New(all.watch(quiet())).Named("uplink")
	for i := range 50 {
		log.Warn("no line", zap.Error(fmt.Errorf("try %d", i)))
	}
	log.Named("other").Error("something else")
	got := all.newestFirst()
	if len(got) != 2 || got[1].GetCount() != 50 || got[1].GetWhat() != "no line: try 49" || got[1].GetAt().AsTime().Before(got[1].GetFirstAt().AsTime()) {
		t.Errorf("troubles %v", got)
	}
	for i := range 2 * keepTroubles {
		log.Warn(fmt.Sprint("fault ", i))
	}
	if got := all.newestFirst(); len(got) != keepTroubles {
		t.Errorf("%d troubles are kept", len(got))
	}
}

func TestTheLastLinesOfTheLogAreKeptAndNoMore(t *testing.T) {
	var r logRing
	log := zap.New(r.watch(quiet()))
	for i := range 3 * keepLines {
		log.Info("line", zap.Int("n", i))
	}
	got := r.last()
	if len(got) != keepLines || !strings.Contains(got[keepLines-1], fmt.Sprint(3*keepLines-1)) {
		t.Errorf("%d lines, the last %s", len(got), got[len(got)-1])
	}
	log.Info(strings.Repeat("x", keepBytes))
	log.Debug("quiet")
	if r.bytes > keepBytes || strings.Contains(strings.Join(r.last(), ""), "quiet") {
		t.Errorf("%d bytes are kept", r.bytes)
	}
}

// The metrics say how the station is, and of nobody.
func TestMetricsTellOfTapsAndNameNobody(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	p.tap("left", "ann")
	p.refused("right", "eve")
	var text string
	p.until("both taps are counted", func() bool {
		out := httptest.NewRecorder()
		p.agent.metrics.handler().ServeHTTP(out, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
		text = out.Body.String()
		return strings.Contains(text, `tapline_agent_taps_total{decided_by="broker",outcome="refused"} 1`)
	})
	for _, line := range []string{
		`tapline_agent_taps_total{decided_by="broker",outcome="opened"} 1`, `tapline_agent_tap_seconds_count{stage="total"} 2`, `tapline_agent_broker_connected 1`,
		`tapline_agent_reader_attached{reader="left"} 1`, `tapline_agent_mode{mode="attribute"} 1`, `tapline_agent_presence{state="named"} 1`, `tapline_agent_journal_degraded 0`,
		`tapline_agent_findings{severity="fault"} 0`, `tapline_agent_bundle_tier{tier="all"} 1`, `tapline_agent_certificate_left_seconds`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
	if strings.Contains(text, "p-ann") || strings.Contains(text, "ANN") {
		t.Error("the metrics name Ann")
	}
}
