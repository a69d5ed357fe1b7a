package clock

import (
	"testing"
	"time"

	"tapline/proto/record"
)

// machine has clocks that a test can turn.
type machine struct{ r Reading }

func newMachine() *machine {
	return &machine{Reading{Wall: time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC), Boot: "boot-1", Monotonic: time.Hour}}
}

func (m *machine) read() Reading { return m.r }

func (m *machine) pass(d time.Duration) {
	m.r.Wall = m.r.Wall.Add(d)
	m.r.Monotonic += d
}

func (m *machine) reboot() { m.r.Boot, m.r.Monotonic = "boot-2", time.Minute }

func TestStates(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*machine, *Keeper)
		want record.ClockState
	}{
		{"no broker time yet", func(*machine, *Keeper) {}, record.ClockUnanchored},
		{"the broker agrees", func(m *machine, k *Keeper) { k.Anchor(m.r.Wall); m.pass(time.Hour) }, record.ClockAgrees},
		{"the broker is a minute ahead", func(m *machine, k *Keeper) { k.Anchor(m.r.Wall.Add(time.Minute)) }, record.ClockDiffers},
		{"set back by an hour", func(m *machine, k *Keeper) { k.Stamp(); m.r.Wall = m.r.Wall.Add(-time.Hour) }, record.ClockWasStepped},
		{"set ahead by a minute", func(m *machine, k *Keeper) { k.Stamp(); m.pass(time.Hour); m.r.Wall = m.r.Wall.Add(time.Minute) }, record.ClockWasStepped},
		{"slewed by a second in an hour", func(m *machine, k *Keeper) { k.Stamp(); m.pass(time.Hour); m.r.Wall = m.r.Wall.Add(time.Second) }, record.ClockUnanchored},
		{"slept for a night", func(m *machine, k *Keeper) { k.Anchor(m.r.Wall); k.Stamp(); m.pass(9 * time.Hour) }, record.ClockAgrees},
		{"a step is told once", func(m *machine, k *Keeper) { k.Stamp(); m.r.Wall = m.r.Wall.Add(-time.Hour); k.Stamp() }, record.ClockUnanchored},
		{"another boot knows nothing of the old anchor", func(m *machine, k *Keeper) { k.Anchor(m.r.Wall); m.reboot() }, record.ClockUnanchored},
		{"a step while the agent was down", func(m *machine, k *Keeper) {
			k.Resume(record.Time{Wall: m.r.Wall.Add(time.Hour), Boot: m.r.Boot, Monotonic: int64(m.r.Monotonic)})
		}, record.ClockWasStepped},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine()
			k := New(m.read)
			tt.do(m, k)
			if got := k.Stamp().State; got != tt.want {
				t.Errorf("state %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTheIntervalHoldsTheTruth(t *testing.T) {
	m := newMachine()
	truth := m.r.Wall.Add(-90 * time.Second) // our clock is ahead
	k := New(m.read)
	k.Anchor(truth.Add(-800 * time.Millisecond)) // heard late
	for range 20 {
		m.pass(7 * time.Hour)
		truth = truth.Add(7*time.Hour + 3*time.Second) // and runs off
		s := k.Stamp()
		if off := s.Wall.Sub(truth).Abs(); off > time.Duration(s.Error)*time.Millisecond {
			t.Fatalf("the clock is off by %s, the record says at most %d ms", off, s.Error)
		}
	}
}

func TestSettingTheClockBackProlongsNothing(t *testing.T) {
	m := newMachine()
	k := New(m.read)
	k.Anchor(m.r.Wall)
	begin := m.r.Wall
	m.pass(10 * time.Hour)
	m.r.Wall = begin.Add(-1000 * time.Hour)
	if got, want := k.Trusted(), begin.Add(10*time.Hour); !got.Equal(want) {
		t.Errorf("trusted time %s, want %s", got, want)
	}
	last := k.Stamp()
	m.reboot()
	again := New(m.read)
	again.Resume(last)
	if got := again.Trusted(); got.Before(begin) {
		t.Errorf("trusted time after a restart %s, before what the broker told, %s", got, begin)
	}
}

func TestSettingTheClockBackProlongsNothingOverRestartsOfTheMachine(t *testing.T) {
	m := newMachine()
	k := New(m.read)
	k.Anchor(m.r.Wall)
	told, ran := m.r.Wall, time.Duration(0)
	floor, last := Floor{}, record.Time{}
	for boot := range 30 { // a day each, and each time somebody sets the clock back to the first day
		m.pass(24 * time.Hour)
		ran += 24 * time.Hour
		m.r.Wall = told
		floor, last = k.Floor(), k.Stamp()
		m.r.Boot, m.r.Monotonic = "boot-"+string(rune('a'+boot)), time.Minute
		ran += time.Minute
		k = New(m.read)
		k.Resume(last)
		k.Raise(floor)
		if got := k.Trusted(); got.Before(told.Add(ran)) || got.After(told.Add(ran+time.Hour)) {
			t.Fatalf("after %d restarts: %s, want %s", boot+1, got, told.Add(ran))
		}
	}
	k = New(m.read) // the file is lost: the last record still knows of its own boot and what was told before
	k.Resume(last)
	if got := k.Trusted(); got.Before(told.Add(time.Minute)) {
		t.Errorf("without the file: %s", got)
	}
	k.Anchor(told) // the broker's clock was wrong before, and it says so
	if got := k.Trusted(); !got.Equal(told) {
		t.Errorf("after the broker told the time: %s, want %s", got, told)
	}
}

func TestAClockThatWasYearsAheadLeavesNoFloor(t *testing.T) {
	m := newMachine()
	k := New(m.read)
	if f := k.Floor(); f != (Floor{}) {
		t.Errorf("a floor that nobody told: %+v", f)
	}
	k.Anchor(m.r.Wall)
	truth := m.r.Wall
	m.r.Wall = truth.AddDate(70, 0, 0)
	k.Trusted()
	floor := k.Floor()
	m.r.Wall = truth
	again := New(m.read)
	again.Raise(floor)
	if got := again.Trusted(); !got.Equal(truth) {
		t.Errorf("trusted %s, want %s", got, truth)
	}
}

func TestBootsWithGuessedNamesMayBeOne(t *testing.T) {
	m := newMachine()
	m.r.Boot = "at-20261122T0500Z"
	k := New(m.read)
	k.Anchor(m.r.Wall)
	told := m.r.Wall
	m.pass(time.Hour)
	m.r.Boot = "at-20261121T0500Z" // the clock was set, and the agent began anew
	again := New(m.read)
	again.Raise(k.Floor())
	if got := again.Floor().Least; !got.Equal(told.Add(time.Hour)) {
		t.Errorf("at least %s, want %s", got, told.Add(time.Hour))
	}
}

func TestTheMachinesOwnClock(t *testing.T) {
	source, err := OS()
	if err != nil {
		t.Fatal(err)
	}
	a, b := source(), source()
	if a.Boot == "" || a.Boot != b.Boot || b.Monotonic < a.Monotonic || a.Monotonic < 0 {
		t.Errorf("readings %+v, %+v", a, b)
	}
}
