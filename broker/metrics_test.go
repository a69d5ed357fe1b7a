package broker

import (
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"

	"tapline/broker/alarm"
	"tapline/broker/store"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// scrape gives every series by its name and labels. A histogram is its count.
func (p *plant) scrape() map[string]float64 {
	p.t.Helper()
	families, err := p.run.metrics.Gather()
	p.must(err)
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			series := f.GetName()
			for _, l := range m.GetLabel() {
				series += " " + l.GetName() + "=" + l.GetValue()
			}
			all[series] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// TestTheMetricsMove has happen what each of them is about.
func TestTheMetricsMove(t *testing.T) {
	p := newPlantWith(t, func(c *Config) { c.Limits.RecordsPerSecond = 10 })
	p.staff()
	s := p.enrol(press)
	before := p.scrape()

	if r := s.open(tap(anna())); !r.GetDecision().GetAllowed() {
		t.Fatalf("got %v", r)
	}
	s.open(tap(ben())) // whose badge nobody knows
	records := append(s.write(1), s.say(record.SessionOpened, func(p *record.Payload) {
		p.Session, p.Person, p.Decision = "s-1", "p-1", &record.Decision{By: "bundle", Bundle: 1}
	}))
	_, err := s.send(1, records)
	p.must(err)
	if _, err := s.send(3, s.write(30)); wire.KindOf(err) != wire.Busy {
		t.Errorf("too many records: got %v", err)
	}
	_, err = s.client.FetchBundle(t.Context(), &taplinev1.FetchBundleRequest{})
	p.must(err)
	p.must(p.run.store.Update(t.Context(), func(tx *store.Tx) error { return alarm.Raise(tx, alarm.Fork, press, p.clock.now(), "for the test") }))

	after := p.scrape()
	for series, more := range map[string]float64{
		"tapline_decisions_total outcome=allowed":                       1,
		"tapline_decisions_total outcome=unknown-badge":                 1,
		"tapline_taps_recorded_total decided_by=bundle outcome=allowed": 1,
		"tapline_refused_by_limit_total limit=records_per_second":       1,
		"tapline_records_total":                                         2,
		"tapline_sessions_open kind=named":                              1,
		"tapline_leases_open":                                           1,
		"tapline_alarms_open":                                           1,
		"tapline_bundles":                                               1,
		"tapline_call_seconds method=" + taplinev1.StationService_OpenSession_FullMethodName + " outcome=none": 2,
	} {
		if got := after[series] - before[series]; got != more {
			t.Errorf("%s rose by %v, want %v", series, got, more)
		}
	}
	for _, series := range []string{"tapline_commit_seconds", "tapline_commit_updates"} {
		if after[series] <= before[series] {
			t.Errorf("%s did not move", series)
		}
	}
	for _, which := range []string{"server", "issuing-ca", "root"} {
		if left := after["tapline_certificate_left_seconds certificate="+which]; left < 24*3600 {
			t.Errorf("the certificate %s is said to end in %v s", which, left)
		}
	}
	p.clock.advance(3600e9)
	if got := p.scrape()["tapline_bundle_oldest_seconds"]; got < 3600 || got > 3700 {
		t.Errorf("an hour later the oldest bundle is %v s old", got)
	}
}

// TestEveryMetricIsInTheReadme and none that is not there.
func TestEveryMetricIsInTheReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Metrics\n")
	section, _, _ = strings.Cut(section, "\n## ")
	told := map[string]bool{}
	for _, name := range regexp.MustCompile("`(tapline_[a-z_]+[a-z])`").FindAllStringSubmatch(section, -1) {
		told[name[1]] = true
	}
	p := newPlantWith(t, func(c *Config) { c.Limits.RecordsPerSecond = 1 })
	p.staff()
	s := p.enrol(press)
	s.open(tap(anna()))
	_, err = s.send(1, [][]byte{s.say(record.TapRefused, func(p *record.Payload) {
		p.Reason, p.Decision = "policy", &record.Decision{By: "bundle", Bundle: 1}
	})})
	p.must(err)
	if _, err := s.send(2, s.write(30)); wire.KindOf(err) != wire.Busy {
		t.Errorf("too many records: got %v", err)
	}
	_, err = s.client.FetchBundle(t.Context(), &taplinev1.FetchBundleRequest{})
	p.must(err)
	there := map[string]bool{}
	for series := range p.scrape() {
		name, _, _ := strings.Cut(series, " ")
		if strings.HasPrefix(name, "tapline_") && !strings.HasPrefix(name, "tapline_secret_") {
			there[name] = true
		}
	}
	maps.DeleteFunc(told, func(name string, _ bool) bool { return name == "tapline_log_cosigned_size" })
	for name := range there {
		if !told[name] {
			t.Errorf("%s is not in README.md, Metrics", name)
		}
	}
	for name := range told {
		if !there[name] {
			t.Errorf("README.md tells of %s, which is not there", name)
		}
	}
}
