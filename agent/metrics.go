package agent

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	taplinev1 "tapline/proto/tapline/v1"
)

// metrics are what a monitor reads of the agent. No label says who: readers, outcomes and states alone.
type metrics struct {
	registry *prometheus.Registry
	taps     *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		taps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tapline_agent_taps_total", Help: "Taps with a record, by what came of them and who decided.",
		}, []string{"outcome", "decided_by"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tapline_agent_tap_seconds", Help: "How long each stage of a tap took; total is from the reader's event to the durable record.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .4, 1, 2.5},
		}, []string{"stage"}),
	}
	m.registry.MustRegister(m.taps, m.took)
	return m
}

// tap takes in a tap whose record is on the disk.
func (m *metrics) tap(f finishedTap) {
	m.taps.WithLabelValues(f.outcome(), f.decidedBy()).Inc()
	for stage, took := range map[string]time.Duration{"read": f.read.took, "decide": f.decide, "journal": f.journal, "total": f.total} {
		m.took.WithLabelValues(stage).Observe(took.Seconds())
	}
}

// register adds what the agent knows when it is asked.
func (m *metrics) register(a *Agent) { m.registry.MustRegister(&statusCollector{a}) }

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2, Timeout: 5 * time.Second})
}

// text is all metrics in the text format of Prometheus.
func (m *metrics) text() (string, error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/metrics", http.NoBody)
	if err != nil {
		return "", err
	}
	out := &page{header: http.Header{}}
	m.handler().ServeHTTP(out, r)
	return out.String(), nil
}

// page is an answer that is kept.
type page struct {
	bytes.Buffer
	header http.Header
}

// Header is what goes before the answer.
func (p *page) Header() http.Header { return p.header }

// WriteHeader takes the status, which nobody asks for.
func (*page) WriteHeader(int) {}

// statusCollector makes metrics of the status, at the moment at which it is asked.
type statusCollector struct{ a *Agent }

// Describe describes nothing, so that what is collected may differ from one time to the next.
func (*statusCollector) Describe(chan<- *prometheus.Desc) {}

// Collect asks for the status.
func (c *statusCollector) Collect(out chan<- prometheus.Metric) {
	s, now := c.a.Status(), time.Now()
	gauge := func(name, help string, v float64, labels ...string) {
		var names, values []string
		for i := 0; i+1 < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("tapline_agent_"+name, help, names, nil), prometheus.GaugeValue, v, values...)
	}
	gauge("info", "1; the version of the agent.", 1, "version", s.GetBuild())
	gauge("start_time_seconds", "When the agent started, in Unix time.", float64(s.GetStartedAt().GetSeconds()))
	j := s.GetJournal()
	gauge("journal_records", "Sequence number of the newest record.", float64(j.GetSeq()))
	gauge("journal_waiting_records", "Records without a receipt of the broker.", float64(j.GetSeq()-min(j.GetAcked(), j.GetSeq())))
	gauge("journal_bytes", "Size of the journal on the disk.", float64(j.GetBytes()))
	gauge("journal_free_bytes", "Free on the journal's disk; -1 when that cannot be asked.", float64(j.GetFreeBytes()))
	gauge("journal_degraded", "1 while records cannot be written.", truth(j.GetDegraded()))
	gauge("broker_connected", "1 while the line to the broker stands.", truth(s.GetBroker().GetConnected()))
	if b := s.GetBundle(); b.GetSequence() > 0 {
		gauge("bundle_age_seconds", "Age of the grant bundle.", now.Sub(b.GetIssuedAt().AsTime()).Seconds())
		gauge("bundle_left_seconds", "Until the grant bundle ends.", b.GetNotAfter().AsTime().Sub(now).Seconds())
		for _, tier := range []string{"all", "essential", "emergency"} {
			gauge("bundle_tier", "1 for the tier of the grant bundle that is in force.", truth(b.GetTier() == tier), "tier", tier)
		}
	}
	gauge("certificate_left_seconds", "Until the certificate of the station ends.", s.GetCertificateExpiresAt().AsTime().Sub(now).Seconds())
	for _, r := range s.GetReaders() {
		gauge("reader_attached", "1 while the reader works.", truth(r.GetAttached()), "reader", r.GetName())
	}
	gauge("clock_error_seconds", "Half-width of the interval that holds the true time; 0 when unknown.", s.GetClockError().AsDuration().Seconds())
	for _, mode := range []taplinev1.Mode{taplinev1.Mode_MODE_ATTRIBUTE, taplinev1.Mode_MODE_GATE, taplinev1.Mode_MODE_LOCK, taplinev1.Mode_MODE_SIGNIN} {
		gauge("mode", "1 for the mode in force.", truth(s.GetPresence().GetMode() == mode), "mode", string(modeWord(mode)))
	}
	c.collectStates(s, gauge)
}

func (*statusCollector) collectStates(s *taplinev1.GetStatusResponse, gauge func(name, help string, v float64, labels ...string)) {
	states := map[string]taplinev1.PresenceState{
		"idle": taplinev1.PresenceState_PRESENCE_STATE_IDLE, "named": taplinev1.PresenceState_PRESENCE_STATE_NAMED,
		"unattributed": taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED, "emergency": taplinev1.PresenceState_PRESENCE_STATE_EMERGENCY,
	}
	for word, state := range states {
		gauge("presence", "1 for what the station is now.", truth(s.GetPresence().GetState() == state), "state", word)
	}
	if t := s.GetToday(); t != nil {
		for word, d := range map[string]float64{
			"named": t.GetNamed().AsDuration().Seconds(), "emergency": t.GetEmergency().AsDuration().Seconds(),
			"unattributed": t.GetUnattributed().AsDuration().Seconds(), "idle": t.GetIdle().AsDuration().Seconds(), "agent-down": t.GetAgentDown().AsDuration().Seconds(),
		} {
			gauge("today_seconds", "What became of the day so far; the states add up to the time since midnight.", d, "state", word)
		}
	}
	for word, how := range map[string]taplinev1.Severity{"warning": warning, "fault": fault} {
		n := 0
		for _, f := range s.GetFindings() {
			if f.GetSeverity() == how {
				n++
			}
		}
		gauge("findings", "What needs somebody's eye; \"tapagent status\" says what and why.", float64(n), "severity", word)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
