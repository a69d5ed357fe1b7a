package agent

import (
	"testing"

	"tapline/installer/osservice"
)

// TestTheServiceManagerNeverWaits floods a machine that nobody listens to.
func TestTheServiceManagerNeverWaits(t *testing.T) {
	m := NewMachine()
	for n := range uint32(10 * maxEvents) {
		m.Hear(osservice.Event{Kind: osservice.SessionLock, Session: n})
		m.Hear(osservice.Event{Kind: osservice.PowerSuspend})
		m.Hear(osservice.Event{Kind: osservice.PowerResume})
	}
	if len(m.sessions) != maxEvents || len(m.woke) != 1 {
		t.Errorf("%d events of sessions and %d of power wait", len(m.sessions), len(m.woke))
	}
	if first := <-m.sessions; first.Session != 0 {
		t.Errorf("the first is of session %d", first.Session)
	}
	if !m.takeLost() || m.takeLost() {
		t.Error("that events were lost is to be told once")
	}
}

// TestAMachineThatWakes has the line made anew at once.
func TestAMachineThatWakes(t *testing.T) {
	p := newPress(t)
	p.machine = NewMachine()
	p.start()
	p.connected()
	again := p.agent.moved.wait()
	p.machine.Hear(osservice.Event{Kind: osservice.PowerResume})
	<-again
	p.connected()
	p.stop()
}
