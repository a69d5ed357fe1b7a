package coverage_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapline/proto/record"
	"tapline/proto/record/coverage"
)

// TestLaws lets random things happen to a station for some days, and holds what the records say of it against the laws and against the truth.
func TestLaws(t *testing.T) {
	oslo, lordHowe := zone(t, "Europe/Oslo"), zone(t, "Australia/Lord_Howe")
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		p := newPlant()
		var story []string
		kills := 0
		for range 60 + rnd.IntN(60) {
			ran := p.runs
			what := p.happen(rnd)
			if ran && !p.runs {
				kills++
			}
			story = append(story, p.now.Format("02 15:04:05 ")+what)
			p.pass(time.Duration(rnd.ExpFloat64() * float64(time.Hour)))
		}
		p.online = true
		p.bootUp()
		p.heal()
		p.beats()
		all := p.fold().Intervals()
		wrong := func(format string, args ...any) {
			t.Helper()
			t.Errorf("seed %d: "+format, append([]any{seed}, args...)...)
		}
		for i := 1; i < len(all); i++ {
			if !all[i].From.Equal(all[i-1].Until) {
				wrong("from %s on, %s follows on %s", all[i].From, all[i].Class, all[i-1].Until)
			}
		}
		for _, loc := range []*time.Location{time.UTC, oslo, lordHowe} {
			from := coverage.Midnight(epoch.In(loc))
			for _, day := range coverage.Days(all, from, p.now.AddDate(0, 0, 1), loc) {
				length := day.Until.Sub(day.From)
				if got := day.Totals.Sum(); got != length {
					wrong("%s adds up to %s, not %s", day.From, got, length)
				}
				var seconds int64
				for c, n := range day.Totals.Seconds() {
					seconds += n
					if n < 0 || day.Totals[c] < 0 {
						wrong("%s has %s of %s", day.From, day.Totals[c], c)
					}
				}
				if seconds != int64(length/time.Second) {
					wrong("%s has %d seconds, not %s", day.From, seconds, length)
				}
			}
		}
		p.holdSessions(wrong, all)
		p.holdTruth(wrong, all, kills)
		if t.Failed() {
			for _, line := range story {
				t.Log(line)
			}
			return
		}
	}
}

// slack is what anchors of one boot may differ in, and a crystal.
func slack(d time.Duration) time.Duration { return d / 500 }

// holdSessions holds that no session is named for longer than it lasted.
func (p *plant) holdSessions(wrong func(string, ...any), all []coverage.Interval) {
	lasted, named := map[record.SessionID]time.Duration{}, map[record.SessionID]time.Duration{}
	for _, i := range p.truth {
		if i.Class == coverage.Named {
			lasted[i.Session] += i.Length()
		}
	}
	for _, i := range all {
		if i.Class == coverage.Named {
			named[i.Session] += i.Length()
		}
	}
	for id, d := range named {
		if d > lasted[id]+slack(lasted[id])+time.Millisecond {
			wrong("session %s was named for %s, and the records say %s", id, lasted[id], d)
		}
	}
}

// holdTruth holds that each class has about the time that it had. What may differ: the seconds between a mark and a kill, the time of an agent that was
// killed while the disk took nothing, and the second that the broker's answer may take.
func (p *plant) holdTruth(wrong func(string, ...any), all []coverage.Interval, kills int) {
	got, want := sum(all), sum(p.truth)
	allowed := time.Duration(kills)*(markEvery+agreeing) + slack(p.now.Sub(epoch)) + p.lost
	for _, c := range coverage.Classes() {
		if off := (got[c] - want[c]).Abs(); off > allowed {
			wrong("%s: %s, in truth %s; %s allowed", c, got[c], want[c], allowed)
		}
	}
}

const agreeing = 2 * time.Second

func TestDaysOfAZone(t *testing.T) {
	for _, tt := range []struct {
		zone, day string
		hours     int
	}{
		{"UTC", "2026-10-25", 24},
		{"Europe/Berlin", "2026-10-24", 24},
		{"Europe/Berlin", "2026-10-25", 25},
		{"Europe/Berlin", "2026-03-29", 23},
		{"Africa/Cairo", "2026-04-24", 23}, // the day has no midnight
		{"America/Santiago", "2026-09-06", 23},
		{"Asia/Kolkata", "2026-10-25", 24},
	} {
		t.Run(tt.zone+" "+tt.day, func(t *testing.T) {
			loc := zone(t, tt.zone)
			noon, err := time.ParseInLocation("2006-01-02 15", tt.day+" 12", loc)
			if err != nil {
				t.Fatal(err)
			}
			from := coverage.Midnight(noon)
			days := coverage.Days(nil, from, from.Add(time.Hour*time.Duration(tt.hours)), loc)
			if len(days) != 1 || days[0].Totals[coverage.Down] != time.Duration(tt.hours)*time.Hour || from.Day() != noon.Day() {
				t.Errorf("from %s: %+v", from, days)
			}
			if next := coverage.Days(nil, from, from.Add(72*time.Hour), loc); len(next) < 2 || next[1].From.Sub(from) != time.Duration(tt.hours)*time.Hour {
				t.Errorf("the next day begins at %s", next[1].From)
			}
		})
	}
}

// TestRules are the rules of the package's comment, one story each. An hour of each class is written as its first letters.
func TestRules(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	for _, tt := range []struct {
		name string
		do   func(p *plant)
		want coverage.Totals
	}{
		{"a session is named, the rest is idle", func(p *plant) {
			p.pass(hour)
			p.tap()
			p.pass(2 * hour)
			p.tapOut()
			p.pass(hour)
		}, coverage.Totals{coverage.Idle: 2 * hour, coverage.Named: 2 * hour}},
		{"an emergency counts, whoever is signed in", func(p *plant) {
			p.tap()
			p.pass(hour)
			p.emergency()
			p.pass(hour)
			p.emergency()
			p.pass(hour)
		}, coverage.Totals{coverage.Named: 2 * hour, coverage.Emergency: hour}},
		{"setting the clock back by a day doubles nothing", func(p *plant) {
			p.tap()
			p.pass(hour)
			p.setClock(-day)
			p.pass(hour)
		}, coverage.Totals{coverage.Named: 2 * hour}},
		{"setting it forth loses nothing", func(p *plant) {
			p.tap()
			p.pass(hour)
			p.setClock(day)
			p.pass(hour)
		}, coverage.Totals{coverage.Named: 2 * hour}},
		{"also without a broker", func(p *plant) {
			p.online, p.anchor, p.records = false, nil, nil
			p.runs = false
			p.startAgent()
			p.tap()
			p.pass(hour)
			p.setClock(-day)
			p.pass(hour)
		}, coverage.Totals{coverage.Named: 2 * hour}},
		{"a kill ends the session at the last mark", func(p *plant) {
			p.tap()
			p.pass(hour + 2*time.Minute + 3*time.Second)
			p.kill()
			p.pass(hour)
			p.startAgent()
		}, coverage.Totals{coverage.Named: hour + 2*time.Minute, coverage.Down: hour + 3*time.Second}},
		{"a mark is not believed beyond the next heartbeat", func(p *plant) {
			p.tap()
			p.pass(hour)
			p.kill()
			p.pass(3 * hour)
			p.marked.Monotonic += int64(3 * hour)
			p.startAgent()
		}, coverage.Totals{coverage.Named: hour + 5*time.Minute + 30*time.Second, coverage.Down: 3*hour - 5*time.Minute - 30*time.Second}},
		{"without a mark the last record is the end", func(p *plant) {
			p.tap()
			p.pass(hour + 4*time.Minute)
			p.kill()
			p.pass(hour)
			p.marked = record.Alive{}
			p.startAgent()
		}, coverage.Totals{coverage.Named: hour, coverage.Down: hour + 4*time.Minute}},
		{"a machine that sleeps has no agent", func(p *plant) {
			p.tap()
			p.pass(hour)
			p.beat = p.beat.Add(8 * hour)
			p.pass(8*hour + 5*time.Minute)
		}, coverage.Totals{coverage.Named: hour, coverage.Down: 8*hour + 5*time.Minute}},
		{"a session that is not recorded yet is nobody's", func(p *plant) {
			p.tap()
			p.pass(hour)
			p.sicken()
			p.pass(hour)
			p.tap()
			p.pass(hour)
			p.heal()
			p.pass(hour)
		}, coverage.Totals{coverage.Named: 3 * hour, coverage.Unattributed: hour}},
		{"a start on a disk that takes nothing", func(p *plant) {
			p.stopAgent()
			p.runs, p.beat = true, p.now.Add(beatEvery)
			p.sicken()
			p.kept = []record.Payload{{Type: record.StationStarted, Time: p.stamp(), Chain: p.chain, Start: &record.Start{}}}
			p.tap()
			p.pass(hour)
			p.heal()
			p.pass(hour)
		}, coverage.Totals{coverage.Named: hour, coverage.Unattributed: hour}},
		{"a slow disk tells of the session in force", func(p *plant) {
			p.tap()
			p.write(record.Payload{Type: record.JournalDegraded, Journal: &record.Journal{Fault: coverage.SlowDisk}})
			p.pass(hour)
			p.write(record.Payload{Type: record.JournalRecovered, Journal: &record.Journal{Fault: coverage.SlowDisk}})
			p.pass(hour)
		}, coverage.Totals{coverage.Named: hour, coverage.Unattributed: hour}},
		{"use that no tap explains", func(p *plant) {
			p.pass(hour)
			p.logon()
			p.pass(hour)
			p.tap()
			p.pass(hour)
		}, coverage.Totals{coverage.Idle: hour, coverage.Unattributed: hour, coverage.Named: hour}},
		{"records that were dropped", func(p *plant) {
			p.tap()
			p.pass(hour)
			p.write(record.Payload{Type: record.JournalRecovered, Journal: &record.Journal{Fault: "io", Dropped: 3}})
			p.pass(hour)
			p.tap()
			p.pass(hour)
		}, coverage.Totals{coverage.Unattributed: hour, coverage.Named: 2 * hour}},
		{"a station that is enrolled anew", func(p *plant) {
			p.tap()
			p.pass(hour)
			p.kill()
			p.pass(hour)
			p.chain, p.mono, p.marked = "chain-2", 0, record.Alive{}
			p.startAgent()
			p.pass(hour)
		}, coverage.Totals{coverage.Named: hour, coverage.Down: hour, coverage.Idle: hour}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlant()
			tt.do(p)
			f := p.fold()
			f.Alive(p.stamp())
			if diff := cmp.Diff(tt.want, sum(f.Intervals())); diff != "" {
				t.Errorf("(-want +got):\n%s\n%v", diff, f.Intervals())
			}
		})
	}
}

// TestABootWithAWrongClockIsPlacedBetween takes a machine whose clock was reset, and that heard the broker before and after.
func TestABootWithAWrongClockIsPlacedBetween(t *testing.T) {
	for _, off := range []time.Duration{-20 * 365 * 24 * time.Hour, 5 * time.Hour, 20 * 365 * 24 * time.Hour} {
		p := newPlant()
		p.pass(time.Hour)
		p.powerOff()
		p.pass(time.Hour)
		p.online, p.anchor = false, nil
		p.wall = off
		p.bootUp()
		p.tap()
		p.pass(time.Hour)
		p.powerOff()
		p.pass(time.Hour)
		p.online = true
		p.bootUp()
		p.pass(time.Hour)
		f := p.fold()
		f.Alive(p.stamp())
		all := f.Intervals()
		if got := all[len(all)-1].Until; got.Sub(p.now).Abs() > 2*time.Second {
			t.Errorf("off by %s: the last boot ends on %s, in truth on %s", off, got, p.now)
		}
		want := coverage.Totals{coverage.Idle: 2 * time.Hour, coverage.Named: time.Hour, coverage.Down: 2 * time.Hour}
		if diff := cmp.Diff(want, sum(all)); diff != "" {
			t.Errorf("off by %s (-want +got):\n%s", off, diff)
		}
	}
}
