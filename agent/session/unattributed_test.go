package session

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tapline/proto/record"
)

// useStory plays steps on one station, a second apart unless they pass time themselves, and gives the records of use and of sessions with the seconds at which they were written.
type useStory struct {
	state State
	rules Rules
	now   time.Time
	lines []string
	shown Presence
	taps  int
}

func newUseStory() *useStory {
	return &useStory{rules: DefaultRules(), now: time.Unix(1e9, 0)}
}

func (u *useStory) feed(e Event) {
	var effects []Effect
	u.state, effects = u.rules.Step(u.state, e, u.now)
	for _, effect := range effects {
		switch effect := effect.(type) {
		case Record:
			p := effect.Payload
			if p.Type == record.UnattributedBegan || p.Type == record.UnattributedEnded || p.Type == record.SessionOpened || p.Type == record.SessionClosed {
				u.lines = append(u.lines, u.now.Sub(time.Unix(1e9, 0)).String()+" "+string(p.Type)+" "+string(p.Reason))
			}
		case Show:
			u.shown = effect.Presence
		}
	}
}

// pass lets time go by, with a tick at each deadline.
func (u *useStory) pass(d time.Duration) {
	end := u.now.Add(d)
	for {
		next, ok := u.rules.Deadline(u.state)
		if !ok || next.After(end) {
			break
		}
		u.now = maxTime(u.now, next)
		u.feed(Tick{})
	}
	u.now = end
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (u *useStory) tap(answer time.Duration) {
	u.taps++
	id := record.SessionID(string(rune('a' + u.taps)))
	u.feed(Tapped{Tap{Session: id, Reader: "r", Badge: Badge{Ref: record.BadgeRef(id)}, At: u.now}})
	u.pass(answer)
	u.feed(Decided{Answer{Session: id, Allowed: true, Person: Person{ID: "p"}, Decision: record.Decision{By: "bundle"}}})
}

func (u *useStory) leave() { u.feed(EndAsked{u.state.Session()}) }

func TestUseThatNoTapExplains(t *testing.T) {
	logon := Used{Use{ID: "c1", Account: "hmi", Reason: OSLogon}}
	ssh := Used{Use{ID: "c2", Account: "hmi", Reason: SSH, Remote: true}}
	for _, tt := range []struct {
		name string
		do   func(u *useStory)
		want []string
	}{
		{"a logon", func(u *useStory) {
			u.feed(logon)
			u.pass(10 * time.Second)
			u.feed(Unused{"c1"})
		}, []string{"2s unattributed.began os-logon", "10s unattributed.ended unused"}},
		{"a logon that a tap explains", func(u *useStory) {
			u.feed(logon)
			u.pass(time.Second)
			u.tap(time.Millisecond)
			u.pass(time.Minute)
		}, []string{"1.001s session.opened "}},
		{"a tap that takes its time", func(u *useStory) {
			u.feed(logon)
			u.pass(time.Second)
			u.tap(2 * time.Second)
			u.pass(time.Minute)
		}, []string{"3s session.opened "}},
		{"a tap that takes too long", func(u *useStory) {
			u.feed(logon)
			u.pass(time.Second)
			u.tap(9 * time.Second)
		}, []string{"4s unattributed.began os-logon", "10s session.opened ", "10s unattributed.ended tap"}},
		{"an unlock while somebody is signed in", func(u *useStory) {
			u.tap(0)
			u.feed(Used{Use{ID: "c1", Reason: OSUnlock}})
			u.pass(time.Minute)
			u.leave()
			u.pass(time.Minute)
		}, []string{"0s session.opened ", "1m0s session.closed tap-out"}},
		{"a shell from afar, when the person leaves", func(u *useStory) {
			u.tap(0)
			u.feed(ssh)
			u.pass(time.Minute)
			u.leave()
			u.pass(time.Minute)
			u.feed(Unused{"c2"})
		}, []string{"0s session.opened ", "1m0s session.closed tap-out", "1m0s unattributed.began ssh", "2m0s unattributed.ended unused"}},
		{"two uses are one stretch of time", func(u *useStory) {
			u.feed(ssh)
			u.pass(5 * time.Second)
			u.feed(logon)
			u.pass(5 * time.Second)
			u.feed(Unused{"c2"})
			u.pass(5 * time.Second)
			u.feed(Unused{"c1"})
		}, []string{"2s unattributed.began ssh", "15s unattributed.ended unused"}},
		{"a logon after which nothing happens", func(u *useStory) {
			u.feed(logon)
			u.pass(3 * time.Hour)
		}, []string{"2s unattributed.began os-logon", "1h0m0s unattributed.ended unused"}},
		{"hands on the screen", func(u *useStory) {
			for range 10 {
				u.feed(Input{})
				u.pass(time.Second)
			}
			u.pass(5 * time.Minute)
		}, []string{"2s unattributed.began input", "1m9s unattributed.ended unused"}},
		{"hands on the screen, then a tap", func(u *useStory) {
			u.feed(Input{})
			u.pass(10 * time.Second)
			u.tap(0)
			u.feed(Input{})
			u.leave()
			u.pass(5 * time.Minute)
		}, []string{"2s unattributed.began input", "10s session.opened ", "10s unattributed.ended tap", "10s session.closed tap-out"}},
		{"input that is held back is no use", func(u *useStory) {
			u.rules.Mode = record.ModeGate
			u.feed(Input{})
			u.pass(time.Minute)
		}, nil},
		{"the agent stops", func(u *useStory) {
			u.feed(ssh)
			u.pass(5 * time.Second)
			u.feed(Shutdown{})
			u.feed(logon)
			u.pass(time.Minute)
		}, []string{"2s unattributed.began ssh", "5s unattributed.ended agent-stopped"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := newUseStory()
			tt.do(u)
			if !slices.Equal(u.lines, tt.want) {
				t.Errorf("got  %q\nwant %q", u.lines, tt.want)
			}
		})
	}
}

func TestWhoIsHereWhenNobodyCanBeNamed(t *testing.T) {
	u := newUseStory()
	u.feed(Used{Use{ID: "c1", Reason: OSLogon}})
	u.pass(time.Minute)
	if u.shown.Used != OSLogon || u.shown.Session != "" || u.now.Sub(u.shown.Since) < 50*time.Second {
		t.Errorf("shows %+v", u.shown)
	}
	u.tap(0)
	if u.shown.Used != "" || u.shown.Session == "" {
		t.Errorf("shows %+v", u.shown)
	}
}

// TestLawsOfUse: whatever comes, unattributed time begins and ends in turns, nobody is named meanwhile, and use that nobody answers for is on record within five seconds.
func TestLawsOfUse(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 7))
		u := newUseStory()
		remote := map[string]time.Time{} // since when it is used with nobody here
		for range 300 {
			id := string(rune('k' + rng.IntN(4)))
			switch rng.IntN(9) {
			case 0:
				u.feed(Used{Use{ID: id, Reason: OSLogon}})
			case 1, 2:
				u.feed(Used{Use{ID: "far-" + id, Reason: SSH, Remote: true}})
				if _, ok := remote[id]; !ok {
					remote[id] = u.now
				}
			case 3, 4:
				u.feed(Unused{ID: id})
				u.feed(Unused{ID: "far-" + id})
				delete(remote, id)
			case 5:
				if u.state.pending == nil {
					u.tap(time.Duration(rng.IntN(6)) * time.Second)
				}
			case 6:
				u.leave()
			case 7:
				u.feed(Input{})
			}
			if u.state.Session() != "" {
				for id := range remote {
					remote[id] = u.now
				}
			}
			u.pass(time.Duration(rng.Int64N(int64(20 * time.Second))))
			if u.state.Session() != "" && u.state.Unattributed() != "" {
				t.Fatalf("seed %d: somebody is here, and time is unattributed: %q", seed, u.lines)
			}
			for id, since := range remote {
				if u.state.Session() == "" && u.now.Sub(since) > 5*time.Second && u.state.Unattributed() == "" {
					t.Fatalf("seed %d: %s from afar since %s, and nothing is on record at %s: %q", seed, id, since, u.now, u.lines)
				}
			}
		}
		on := false
		for _, line := range u.lines {
			if began := strings.Contains(line, "unattributed.began"); began || strings.Contains(line, "unattributed.ended") {
				if began == on {
					t.Fatalf("seed %d: %q", seed, u.lines)
				}
				on = began
			}
		}
	}
}
