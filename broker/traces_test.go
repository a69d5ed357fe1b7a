package broker

import (
	"net"
	"strings"
	"testing"
	"time"

	"tapline/broker/trace"
	"tapline/broker/trace/tracetest"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func TestTracesSayHowLongAndNeverWho(t *testing.T) {
	collector := tracetest.Serve(t)
	p := newPlantWith(t, func(c *Config) { c.Trace = &collector.Config })
	p.staff()
	ctx := t.Context()
	const pin = "90817263"
	olga := p.appoint("olga.canary", "helpdesk")
	_, err := olga.admin.ListPeople(ctx, &taplinev1.ListPeopleRequest{Query: "Canary"})
	p.must(err)
	_, err = p.admin.SetPin(ctx, &taplinev1.SetPinRequest{Person: "p-1", Pin: pin})
	p.must(err)
	s := p.enrol(press)
	for _, entered := range []string{pin, "90817264"} {
		req := tap(anna())
		req.Pin = entered
		_, err = s.client.OpenSession(ctx, req)
		p.must(err)
	}
	_, err = s.client.OpenSession(ctx, &taplinev1.OpenSessionRequest{Session: "canary-session"})
	refused(t, err, wire.Invalid, "session")
	_, err = s.send(1, s.write(3))
	p.must(err)
	_, err = p.door(p.token(packing).Root).Login(ctx, &taplinev1.LoginRequest{Proof: &taplinev1.LoginRequest_Invitation{Invitation: "canary-invitation"}})
	refused(t, err, wire.Unauthenticated, "unknown")
	p.stop() // sends what waits

	spans := collector.Spans()
	for _, want := range []string{"tapline.v1.StationService/OpenSession", "tapline.v1.StationService/StreamRecords", "tapline.v1.AdminService/SetPin", "check PIN", "decide tap", "commit", "ingest batch"} {
		if len(spans[want]) == 0 {
			t.Errorf("no span %q", want)
		}
	}
	open := map[string]bool{}
	for _, s := range spans["tapline.v1.StationService/OpenSession"] {
		open[string(s.GetTraceId())] = true
	}
	for _, s := range spans["decide tap"] {
		if !open[string(s.GetTraceId())] || len(s.GetParentSpanId()) == 0 {
			t.Errorf("a decision outside its call: %v", s)
		}
	}
	for _, s := range spans["ingest batch"] {
		if len(s.GetLinks()) != 1 || len(s.GetParentSpanId()) != 0 {
			t.Errorf("a batch without its stream, or within it: %v", s)
		}
	}
	said := strings.ToLower(collector.Text(t))
	for _, canary := range []string{"canary", "anna", "p-1", pin, "90817264", "04a1b2c3", "press", "packing", "127.0.0.1", account, "spiffe"} {
		if strings.Contains(said, strings.ToLower(canary)) {
			t.Errorf("the traces tell %q", canary)
		}
	}
}

func TestACollectorThatIsAwaySlowsNothing(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for says, address := range map[string]string{"silent": silent.Addr().String(), "gone": freeAddress(t)} {
		t.Run(says, func(t *testing.T) {
			p := newPlantWith(t, func(c *Config) { c.Trace = &trace.Config{OTLP: address, Sample: 1, Insecure: true} })
			p.staff()
			s := p.enrol(press)
			begun := time.Now()
			for range 100 {
				_, err := s.client.OpenSession(t.Context(), tap(anna()))
				p.must(err)
			}
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("a hundred taps took %s", took)
			}
			begun = time.Now()
			p.stop()
			if took := time.Since(begun); took > 2*drainFor {
				t.Errorf("to stop took %s", took)
			}
		})
	}
}
