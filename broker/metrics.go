package broker

import (
	"context"
	"crypto/x509"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapline/broker/policy"
	"tapline/broker/store"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// storeMetrics say how the store does and what is in it.
func (b *Broker) storeMetrics() []prometheus.Collector {
	took := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tapline_commit_seconds", Help: "Time of a commit, which one or more updates share.", Buckets: prometheus.ExponentialBuckets(0.0002, 2.5, 12),
	})
	size := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tapline_commit_updates", Help: "Updates that shared a commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 10),
	})
	b.store.Committed = func(updates int, d time.Duration) {
		took.Observe(d.Seconds())
		size.Observe(float64(updates))
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tapline_updates_waiting", Help: "Updates that wait for their commit.",
	}, func() float64 { return float64(b.store.Waiting()) })
	return []prometheus.Collector{took, size, waiting, &tallies{broker: b}}
}

// tallies is what the store counts, read once a scrape. Whoever scrapes must not hang on a store that does: then there are none.
type tallies struct {
	broker *Broker
	mu     sync.Mutex // held over a scrape, so that many ask the store one after the other
}

var (
	sessionsOpen  = prometheus.NewDesc("tapline_sessions_open", "Sessions that go on, as the records tell it, by kind.", []string{"kind"}, nil)
	leasesOpen    = prometheus.NewDesc("tapline_leases_open", "Leases in force.", nil, nil)
	alarmsOpen    = prometheus.NewDesc("tapline_alarms_open", "Alarms that nobody has closed.", nil, nil)
	unverified    = prometheus.NewDesc("tapline_records_unverified", "Records whose own signature was not checked yet.", nil, nil)
	bundles       = prometheus.NewDesc("tapline_bundles", "Grant bundles of enrolled stations.", nil, nil)
	bundlesStale  = prometheus.NewDesc("tapline_bundles_stale", "Of them those made before the last change of the directory.", nil, nil)
	bundlesOldest = prometheus.NewDesc("tapline_bundle_oldest_seconds", "Age of the oldest of them.", nil, nil)
)

// Describe implements prometheus.Collector.
func (t *tallies) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sessionsOpen, leasesOpen, alarmsOpen, unverified, bundles, bundlesStale, bundlesOldest} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (t *tallies) Collect(out chan<- prometheus.Metric) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), healthWithin)
	defer cancel()
	var n store.Tallies
	err := t.broker.store.View(ctx, func(tx *store.Tx) (err error) {
		n, err = tx.Tallies()
		return err
	})
	if err != nil {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for kind, count := range n.Sessions {
		gauge(sessionsOpen, float64(count), string(kind))
	}
	gauge(leasesOpen, float64(n.Leases))
	gauge(alarmsOpen, float64(n.Alarms))
	gauge(unverified, float64(n.Unverified))
	gauge(bundles, float64(n.Bundles))
	gauge(bundlesStale, float64(n.Stale))
	if n.Bundles > 0 {
		gauge(bundlesOldest, t.broker.now().Sub(n.Oldest).Seconds())
	}
}

// tapMetrics count taps: those that were asked here, and those that the records tell of, whoever decided them.
func (b *Broker) tapMetrics() []prometheus.Collector {
	b.decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tapline_decisions_total", Help: "Taps that this broker decided, by outcome: allowed, or the cause of the refusal.",
	}, []string{"outcome"})
	recorded := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tapline_taps_recorded_total", Help: "Taps in the records that this broker took in, by what came of them and who decided.",
	}, []string{"outcome", "decided_by"})
	b.ingest.Seen = func(p record.Payload) {
		outcome := ""
		switch p.Type {
		case record.SessionOpened, record.SessionHandedOver:
			outcome = "allowed"
		case record.TapRefused:
			outcome = "refused"
		default:
			return
		}
		recorded.WithLabelValues(outcome, decider(p.Decision)).Inc()
	}
	return []prometheus.Collector{b.decisions, recorded}
}

// decider keeps what a station wrote to the words that there are: a label is for ever.
func decider(d *record.Decision) string {
	if d == nil {
		return "station"
	}
	switch d.By {
	case "broker", "bundle", "emergency", "station":
		return d.By
	}
	return "other"
}

// decided counts an answer to a tap.
func (b *Broker) decided(answer *taplinev1.OpenSessionResponse) {
	outcome := "allowed"
	if d := answer.GetDecision(); !d.GetAllowed() {
		outcome = policy.RefusalWord(d.GetRefusal())
	}
	b.decisions.WithLabelValues(outcome).Inc()
}

// limitMetrics say what was too much.
func (b *Broker) limitMetrics() []prometheus.Collector {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tapline_refused_by_limit_total", Help: "Calls, batches and connections that were sent away, by the key of limits: in the configuration that says so.",
	}, []string{"limit"})
	b.guard.Refused = func(limit string) { refused.WithLabelValues(limit).Inc() }
	gauge := func(name, help string, value func(records, waiting, taps int) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value(b.guard.Admission.Load())) })
	}
	return []prometheus.Collector{
		refused,
		gauge("tapline_upload_records", "Records that are on their way into the store.", func(records, _, _ int) int { return records }),
		gauge("tapline_uploads_waiting", "Batches that wait because others are on their way, or because somebody taps.", func(_, waiting, _ int) int { return waiting }),
		gauge("tapline_taps_waiting", "Taps that are being answered.", func(_, _, taps int) int { return taps }),
	}
}

// certificateMetrics say how long certificates last.
func (b *Broker) certificateMetrics() []prometheus.Collector {
	left := func(which string, end func() (time.Time, error)) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tapline_certificate_left_seconds", Help: "Time until a certificate ends: the one that this broker shows, its issuing CA's, its root's. Below zero once it has.",
			ConstLabels: prometheus.Labels{"certificate": which},
		}, func() float64 {
			at, err := end()
			if err != nil {
				return 0
			}
			return at.Sub(b.now()).Seconds()
		})
	}
	return []prometheus.Collector{
		left("server", func() (time.Time, error) { return b.chainEnd(0) }),
		left("issuing-ca", func() (time.Time, error) { return b.chainEnd(1) }),
		left("root", func() (time.Time, error) {
			root, err := x509.ParseCertificate(b.authority.Root())
			if err != nil {
				return time.Time{}, err
			}
			return root.NotAfter, nil
		}),
	}
}

// chainEnd is when a certificate of the chain ends that this broker shows.
func (b *Broker) chainEnd(i int) (time.Time, error) {
	own, err := b.own.Get()
	if err != nil {
		return time.Time{}, err
	}
	c, err := x509.ParseCertificate(own.Certificate[min(i, len(own.Certificate)-1)])
	if err != nil {
		return time.Time{}, err
	}
	return c.NotAfter, nil
}
