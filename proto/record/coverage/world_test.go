package coverage_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tapline/proto/record"
	"tapline/proto/record/coverage"
)

// epoch is when each history begins: in the week in which Europe's summer time ends.
var epoch = time.Date(2026, 10, 23, 14, 0, 0, 0, time.UTC)

const (
	beatEvery = 5 * time.Minute
	markEvery = 5 * time.Second
)

// plant is one station and the truth about it. Its methods are what happens to it; each is written down as the agent would.
type plant struct {
	now  time.Time // the true time
	boot int
	up   bool // the machine is
	// booted is when, wall how far the wall clock is off, anchor the last time that the broker told.
	booted time.Time
	wall   time.Duration
	anchor *record.Anchor
	online bool
	jitter time.Duration // of the broker's next answer

	runs     bool // the agent does
	sick     bool // the disk takes nothing
	marked   record.Alive
	beat     time.Time // the next
	named    record.SessionID
	person   record.PersonID
	trouble  record.SessionID // the emergency
	used     bool             // by nobody that a tap explains
	hidden   bool             // the session's record is not durable
	sessions int
	mono     int64 // of the last record: a chain never goes back
	chain    record.ChainID

	kept    []record.Payload // in memory
	sickAt  time.Time
	lost    time.Duration    // what an agent that was killed could not write
	records []record.Payload // on the disk
	truth   []coverage.Interval
}

func newPlant() *plant {
	p := &plant{now: epoch, chain: "chain-1", online: true}
	p.bootUp()
	return p
}

func (p *plant) mono1() int64 { return int64(p.now.Sub(p.booted)) + int64(time.Minute) }

func (p *plant) stamp() record.Time {
	if p.online {
		p.anchor = &record.Anchor{Broker: p.now.Add(-p.jitter), Boot: p.bootID(), Monotonic: p.mono1()}
	}
	return record.Time{Wall: p.now.Add(p.wall), Boot: p.bootID(), Monotonic: p.mono1(), Anchor: p.anchor, State: record.ClockAgrees}
}

func (p *plant) bootID() string { return fmt.Sprint("boot-", p.boot) }

// write makes a record, or keeps it in memory while the disk takes none.
func (p *plant) write(r record.Payload) {
	r.Time, r.Chain = p.stamp(), p.chain
	if p.sick {
		p.kept = append(p.kept, r)
		return
	}
	p.durable(r)
}

func (p *plant) durable(r record.Payload) {
	r.Time.Monotonic = max(r.Time.Monotonic, p.mono)
	p.mono = r.Time.Monotonic
	p.records = append(p.records, r)
}

// pass lets time go by, in which the heart beats.
func (p *plant) pass(d time.Duration) {
	for end := p.now.Add(d); p.now.Before(end); {
		next := end
		if p.runs && p.beat.Before(next) {
			next = p.beat
		}
		p.be(next)
		if p.runs && p.now.Equal(p.beat) {
			p.beats()
		}
	}
}

// be writes the truth down up to next.
func (p *plant) be(next time.Time) {
	class := coverage.Idle
	switch {
	case !p.runs:
		class = coverage.Down
	case p.trouble != "":
		class = coverage.Emergency
	case p.used, p.named != "" && p.hidden:
		class = coverage.Unattributed
	case p.named != "":
		class = coverage.Named
	}
	p.truth = append(p.truth, coverage.Interval{From: p.now, Until: next, Class: class, Session: p.named})
	if p.runs && !p.sick {
		left := next.Sub(p.now) % markEvery
		t := p.stamp()
		ahead := next.Sub(p.now) - left
		if ahead > 0 {
			p.marked = record.Alive{Wall: t.Wall.Add(ahead), Boot: t.Boot, Monotonic: t.Monotonic + int64(ahead)}
		}
	}
	p.now = next
}

func (p *plant) beats() {
	says := "idle"
	if p.named != "" {
		says = "named"
		if p.hidden {
			says = "unattributed"
		}
	}
	p.write(record.Payload{Type: record.StationHeartbeat, Beat: &record.Beat{Interval: int64(beatEvery / time.Second), State: says}})
	p.beat = p.now.Add(beatEvery)
}

func (p *plant) bootUp() {
	if !p.up {
		p.up, p.boot, p.booted, p.mono = true, p.boot+1, p.now, 0
	}
	p.startAgent()
}

func (p *plant) startAgent() {
	if p.runs || !p.up {
		return
	}
	start := &record.Start{Build: "test", Stopped: len(p.records) == 0 || p.records[len(p.records)-1].Type == record.StationStopped}
	if !start.Stopped && p.marked.Boot != "" {
		mark := p.marked
		start.Alive = &mark
	}
	p.runs, p.sick = true, false
	p.durable(record.Payload{Type: record.EpochSealed, Time: p.stamp(), Chain: p.chain})
	p.write(record.Payload{Type: record.StationStarted, Start: start})
	if p.trouble != "" {
		p.write(record.Payload{Type: record.SessionClosed, Session: p.trouble, Reason: "agent-died"})
	}
	p.trouble = ""
	p.beat = p.now.Add(beatEvery)
}

func (p *plant) stopAgent() {
	if !p.runs {
		return
	}
	p.heal()
	p.closeAll("agent-stopped")
	p.write(record.Payload{Type: record.StationStopped})
	p.runs = false
}

func (p *plant) kill() {
	p.runs, p.kept = false, nil
	p.named, p.used, p.hidden = "", false, false
	if p.sick { // whatever was kept is gone, the closing of an emergency too
		p.sick = false
		p.lost += p.now.Sub(p.sickAt)
	}
}

func (p *plant) powerOff() {
	if p.up {
		p.kill()
		p.up = false
	}
}

func (p *plant) closeAll(why record.Reason) {
	for _, id := range []record.SessionID{p.named, p.trouble} {
		if id != "" {
			p.write(record.Payload{Type: record.SessionClosed, Session: id, Reason: why})
		}
	}
	if p.used {
		p.write(record.Payload{Type: record.UnattributedEnded})
	}
	p.named, p.trouble, p.used, p.hidden = "", "", false, false
}

func (p *plant) tap() {
	if !p.runs {
		return
	}
	p.sessions++
	r := record.Payload{Type: record.SessionOpened, Session: record.SessionID(fmt.Sprint("s", p.sessions)), Person: record.PersonID(fmt.Sprint("p", p.sessions%5))}
	if p.used {
		p.write(record.Payload{Type: record.UnattributedEnded})
		p.used = false
	}
	if p.named != "" {
		r.Type, r.From = record.SessionHandedOver, &record.From{Session: p.named}
	}
	p.write(r)
	p.named, p.person, p.hidden = r.Session, r.Person, p.sick
}

func (p *plant) tapOut() {
	if p.runs && p.named != "" {
		p.write(record.Payload{Type: record.SessionClosed, Session: p.named, Reason: "tap-out"})
		p.named, p.hidden = "", false
	}
}

func (p *plant) emergency() {
	if !p.runs || p.sick {
		return
	}
	if p.trouble != "" {
		p.write(record.Payload{Type: record.SessionClosed, Session: p.trouble, Reason: "claimed"})
		p.trouble = ""
		return
	}
	p.sessions++
	p.trouble = record.SessionID(fmt.Sprint("e", p.sessions))
	p.write(record.Payload{Type: record.EmergencyOpened, Session: p.trouble})
}

func (p *plant) logon() {
	if p.runs && p.named == "" && !p.used {
		p.write(record.Payload{Type: record.UnattributedBegan, Reason: "os-logon"})
		p.used = true
	}
}

func (p *plant) sicken() {
	if p.runs && !p.sick {
		p.durable(record.Payload{Type: record.JournalDegraded, Time: p.stamp(), Chain: p.chain, Journal: &record.Journal{Fault: "full"}})
		p.sick, p.sickAt = true, p.now
	}
}

func (p *plant) heal() {
	if !p.runs || !p.sick {
		return
	}
	p.sick = false
	for _, r := range p.kept {
		p.durable(r)
	}
	p.kept, p.hidden = nil, false
	p.write(record.Payload{Type: record.JournalRecovered, Journal: &record.Journal{Fault: "full"}})
}

func (p *plant) setClock(by time.Duration) {
	p.wall = by
	if p.runs {
		p.write(record.Payload{Type: record.ClockStepped})
	}
}

func (p *plant) fold() *coverage.Fold {
	f := &coverage.Fold{}
	f.Enrolled(epoch)
	for _, r := range p.records {
		f.Add(r)
	}
	return f
}

// happen is one random thing.
func (p *plant) happen(rnd *rand.Rand) string {
	things := []struct {
		name string
		do   func()
	}{
		{"tap", p.tap},
		{"tap", p.tap},
		{"tap", p.tap},
		{"tap out", p.tapOut},
		{"tap out", p.tapOut},
		{"emergency", p.emergency},
		{"logon", p.logon},
		{"reader pulled", func() {
			if p.runs {
				p.write(record.Payload{Type: record.ReaderDetached, Reader: "left"})
			}
		}},
		{"disk sick", p.sicken},
		{"disk well", p.heal},
		{"disk well", p.heal},
		{"clock set", func() { p.setClock(time.Duration(rnd.Int64N(int64(48*time.Hour))) - 24*time.Hour) }},
		{"broker lost", func() { p.online = false }},
		{"broker back", func() { p.online = true }},
		{"broker back", func() { p.online = true }},
		{"kill", p.kill},
		{"start", p.startAgent},
		{"start", p.startAgent},
		{"stop", p.stopAgent},
		{"power off", p.powerOff},
		{"power on", p.bootUp},
		{"power on", p.bootUp},
		{"power on", p.bootUp},
	}
	thing := things[rnd.IntN(len(things))]
	p.jitter = time.Duration(rnd.Int64N(int64(time.Second)))
	thing.do()
	return thing.name
}

func sum(list []coverage.Interval) coverage.Totals {
	all := coverage.Totals{}
	for _, i := range list {
		all[i.Class] += i.Length()
	}
	return all
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}
