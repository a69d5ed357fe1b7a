package logons

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"tapline/agent/session"
	"tapline/installer/osservice"
)

// fakeWindows has the sessions that a test gives it.
type fakeWindows struct {
	mu       sync.Mutex // guards the fields below, where somebody follows while a test changes them
	sessions map[uint32]wtsSession
	broken   bool
}

// meanwhile changes it under whoever follows.
func (f *fakeWindows) meanwhile(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeWindows) all() ([]wtsSession, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken {
		return nil, errors.New("no TermService")
	}
	var list []wtsSession
	for _, s := range f.sessions {
		list = append(list, s)
	}
	return list, nil
}

func (f *fakeWindows) one(number uint32) (wtsSession, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.sessions[number]
	return s, ok && !f.broken
}

// tell gives what a watcher of these accounts tells, a line for each event.
func tell(accounts ...string) (*wts, *[]string) {
	told := &[]string{}
	return newWTS(Config{Accounts: accounts, Log: zap.NewNop(), Emit: func(e session.Event) { *told = append(*told, inWords(e)) }}), told
}

func inWords(e session.Event) string {
	switch e := e.(type) {
	case session.Used:
		remote := ""
		if e.Use.Remote {
			remote = " from afar"
		}
		return fmt.Sprintf("used %s %s %s%s", e.Use.ID, e.Use.Reason, e.Use.Account, remote)
	case session.Unused:
		return "unused " + e.ID
	}
	return "?"
}

func atDesk(account string) wtsSession {
	return wtsSession{number: 1, domain: "PRESS", account: account, connected: true, lock: unlocked}
}

func with(s wtsSession, change func(*wtsSession)) wtsSession {
	change(&s)
	return s
}

func TestWhatWindowsTells(t *testing.T) {
	hmi := atDesk("hmi")
	dark := with(hmi, func(s *wtsSession) { s.lock = locked })
	away := with(hmi, func(s *wtsSession) { s.connected = false })
	far := with(hmi, func(s *wtsSession) { s.protocol = rdpProtocol })
	boots := with(hmi, func(s *wtsSession) { s.autologon = autologonAtBoot })
	always := with(hmi, func(s *wtsSession) { s.autologon = autologonAlways })
	vague := with(hmi, func(s *wtsSession) { s.lock = lockUnknown })
	type happens struct {
		kind osservice.EventKind // 0 lists all sessions
		now  wtsSession          // what Windows says of the session; zero for gone
	}
	const (
		list                = 0
		logon, logoff       = osservice.SessionLogon, osservice.SessionLogoff
		lock, unlock        = osservice.SessionLock, osservice.SessionUnlock
		connect, disconnect = osservice.SessionConnect, osservice.SessionDisconnect
	)
	for _, tt := range []struct {
		name     string
		accounts []string
		history  []happens // the first is listed
		want     []string
	}{
		{"a logon and a logoff", nil, []happens{{}, {logon, hmi}, {logoff, hmi}}, []string{"used wts-1 os-logon hmi", "unused wts-1"}},
		{"there before us", nil, []happens{{list, hmi}, {list, hmi}, {lock, dark}, {unlock, hmi}}, []string{"used wts-1 os-unlock hmi"}},
		{"locked before us", nil, []happens{{list, dark}, {unlock, hmi}}, []string{"used wts-1 os-unlock hmi"}},
		{"a lock that was missed", nil, []happens{{list, hmi}, {unlock, hmi}}, []string{"used wts-1 os-unlock hmi"}},
		{"from afar before us", nil, []happens{{list, far}, {disconnect, away}}, []string{"used wts-1 rdp hmi from afar", "unused wts-1"}},
		{"a lock and an unlock", nil, []happens{{}, {logon, hmi}, {lock, hmi}, {unlock, dark}}, []string{"used wts-1 os-logon hmi", "unused wts-1", "used wts-1 os-unlock hmi"}},
		{
			"a desk taken over from afar and back", nil,
			[]happens{{list, hmi}, {disconnect, away}, {connect, far}, {disconnect, away}, {connect, hmi}},
			[]string{"used wts-1 rdp hmi from afar", "unused wts-1", "used wts-1 os-switch hmi"},
		},
		{
			"taken over without a word in between", nil,
			[]happens{{}, {logon, hmi}, {connect, far}},
			[]string{"used wts-1 os-logon hmi", "unused wts-1", "used wts-1 rdp hmi from afar"},
		},
		{"connect and unlock are one use", nil, []happens{{list, away}, {connect, hmi}, {unlock, hmi}}, []string{"used wts-1 os-switch hmi"}},
		{"a locked session that is connected", nil, []happens{{list, with(dark, func(s *wtsSession) { s.connected = false })}, {connect, dark}, {unlock, hmi}}, []string{"used wts-1 os-unlock hmi"}},
		{"a screen to log on at", nil, []happens{{}, {connect, with(hmi, func(s *wtsSession) { s.account = "" })}}, nil},
		{"an account known late", nil, []happens{{}, {logon, wtsSession{number: 1}}, {list, hmi}}, []string{"used wts-1 os-logon hmi"}},
		{"events that were missed", nil, []happens{{}, {list, hmi}, {list, dark}, {list, hmi}, {}}, []string{
			"used wts-1 os-logon hmi", "unused wts-1", "used wts-1 os-unlock hmi", "unused wts-1",
		}},
		{"a lock that Windows does not know", nil, []happens{{}, {logon, vague}, {lock, vague}, {list, vague}}, []string{"used wts-1 os-logon hmi", "unused wts-1"}},
		{"somebody else in the session", nil, []happens{{}, {logon, hmi}, {list, atDesk("ann")}}, []string{"used wts-1 os-logon hmi", "unused wts-1", "used wts-1 os-logon ann"}},
		{"not one of the accounts", []string{"hmi"}, []happens{{}, {logon, atDesk("ann")}, {logoff, hmi}}, nil},
		{"as the configuration spells it", []string{"HMI"}, []happens{{}, {logon, hmi}}, []string{"used wts-1 os-logon HMI"}},
		{"with its domain", []string{`press\hmi`}, []happens{{}, {logon, hmi}}, []string{`used wts-1 os-logon press\hmi`}},
		{"of another domain", []string{`plant\hmi`}, []happens{{}, {logon, hmi}}, nil},
		{"an autologon at boot", nil, []happens{{}, {logon, boots}, {logoff, boots}, {logon, boots}}, []string{"used wts-1 os-logon hmi"}},
		{"always an autologon", nil, []happens{{}, {logon, always}, {logoff, always}, {logon, always}, {lock, always}, {unlock, always}}, []string{"used wts-1 os-unlock hmi"}},
		{"an ICA client", nil, []happens{{}, {logon, with(far, func(s *wtsSession) { s.protocol = 1 })}}, []string{"used wts-1 remote hmi from afar"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, told := tell(tt.accounts...)
			for i, h := range tt.history {
				system := &fakeWindows{sessions: map[uint32]wtsSession{}}
				if h.now.number != 0 {
					system.sessions[1] = h.now
				}
				if i == 0 || h.kind == list {
					all, _ := system.all()
					w.list(all)
					continue
				}
				w.hear(osservice.Event{Kind: h.kind, Session: 1}, system.one)
			}
			if !slices.Equal(*told, tt.want) {
				t.Errorf("got  %q\nwant %q", *told, tt.want)
			}
		})
	}
}

// TestHistoriesOfSessions plays random histories, with events that are lost, late or wrong. No session has two uses at once, nothing ends that has not begun, only
// accounts that are watched count, and after a list the uses that go on are of sessions that somebody can work in.
func TestHistoriesOfSessions(t *testing.T) {
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		system := &fakeWindows{sessions: map[uint32]wtsSession{}}
		open := map[string]session.Use{}
		w := newWTS(Config{Accounts: []string{"hmi", "ann"}, Log: zap.NewNop(), Emit: func(e session.Event) {
			switch e := e.(type) {
			case session.Used:
				if _, two := open[e.Use.ID]; two {
					t.Fatalf("seed %d: two uses of %s at once", seed, e.Use.ID)
				}
				if e.Use.Account != "hmi" && e.Use.Account != "ann" || e.Use.Remote != (e.Use.Reason == session.RDP) {
					t.Fatalf("seed %d: %+v", seed, e.Use)
				}
				open[e.Use.ID] = e.Use
			case session.Unused:
				if _, ok := open[e.ID]; !ok {
					t.Fatalf("seed %d: a use of %s ended that has not begun", seed, e.ID)
				}
				delete(open, e.ID)
			}
		}})
		for range 60 {
			number := 1 + rnd.Uint32N(3)
			kind := osservice.EventKind(1 + rnd.IntN(int(osservice.PowerResume)))
			if rnd.IntN(4) > 0 {
				system.change(rnd, number, kind)
			}
			if rnd.IntN(4) > 0 {
				w.hear(osservice.Event{Kind: kind, Session: number}, system.one)
			}
			if rnd.IntN(5) > 0 {
				continue
			}
			all, _ := system.all()
			w.list(all)
			for id, use := range open {
				s := wtsState{wtsSession: system.sessions[uint32(id[len(id)-1]-'0')]}
				if !s.inUse() || s.account != string(use.Account) || s.remote() != use.Remote {
					t.Fatalf("seed %d: %+v goes on in %+v", seed, use, s)
				}
			}
		}
		for number := range uint32(4) {
			w.hear(osservice.Event{Kind: osservice.SessionLogoff, Session: number}, system.one)
		}
		if len(open) > 0 {
			t.Fatalf("seed %d: all are logged off, and %v go on", seed, open)
		}
	}
}

// change does to a session what an event tells of.
func (f *fakeWindows) change(rnd *rand.Rand, number uint32, kind osservice.EventKind) {
	s := f.sessions[number]
	s.number = number
	switch kind {
	case osservice.SessionLogon:
		s = wtsSession{number: number, account: []string{"hmi", "ann", "eve", ""}[rnd.IntN(4)], connected: true, lock: unlocked, protocol: uint16(2 * rnd.IntN(2))}
	case osservice.SessionLogoff:
		delete(f.sessions, number)
		return
	case osservice.SessionLock:
		s.lock = locked
	case osservice.SessionUnlock:
		s.lock = unlocked
	case osservice.SessionConnect:
		s.connected, s.protocol = true, uint16(2*rnd.IntN(2))
	case osservice.SessionDisconnect:
		s.connected, s.protocol = false, consoleProtocol
	}
	f.sessions[number] = s
}

// TestSessionsAreFollowed has events come through the channel, some of them lost, and Windows not answer for a while.
func TestSessionsAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := make(chan osservice.Event, 2)
		lost := false // guarded by system, as told is
		var told []string
		system := &fakeWindows{sessions: map[uint32]wtsSession{1: atDesk("hmi")}}
		events <- osservice.Event{Kind: osservice.SessionLogon, Session: 1} // before our time
		cfg := Config{Log: zap.NewNop(), Events: events, Lost: func() (was bool) { system.meanwhile(func() { was, lost = lost, false }); return was }, Emit: func(e session.Event) { system.meanwhile(func() { told = append(told, inWords(e)) }) }}
		ctx, stop := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		watching.Go(func() { followSessions(ctx, cfg, system) })
		wants := func(want ...string) {
			t.Helper()
			synctest.Wait()
			system.meanwhile(func() {
				if !slices.Equal(told, want) {
					t.Errorf("at %s: got %q, want %q", time.Now().Format("05.000"), told, want)
				}
				told = nil
			})
		}
		wants()
		events <- osservice.Event{Kind: osservice.SessionLock, Session: 1}
		events <- osservice.Event{Kind: osservice.SessionUnlock, Session: 1}
		wants("used wts-1 os-unlock hmi")
		system.meanwhile(func() {
			system.sessions[2] = wtsSession{number: 2, account: "ann", connected: true, protocol: rdpProtocol}
		})
		wants()
		<-time.After(wtsEvery)
		wants("used wts-2 rdp ann from afar")
		system.meanwhile(func() { system.broken = true })
		<-time.After(10 * wtsEvery)
		wants()
		system.meanwhile(func() {
			system.broken, lost = false, true
			delete(system.sessions, 2)
		})
		events <- osservice.Event{Kind: osservice.SessionLock, Session: 9}
		wants("unused wts-2")
		stop()
		watching.Wait()
	})
}

func TestLockOfASession(t *testing.T) {
	info := func(level, flags uint32) []byte {
		b := make([]byte, 200)
		binary.LittleEndian.PutUint32(b, level)
		binary.LittleEndian.PutUint32(b[infoFlags:], flags)
		return b
	}
	for _, tt := range []struct {
		info []byte
		want lock
	}{{info(1, 0), locked}, {info(1, 1), unlocked}, {info(1, ^uint32(0)), lockUnknown}, {info(2, 1), lockUnknown}, {info(1, 1)[:19], lockUnknown}, {nil, lockUnknown}} {
		if got := lockOf(tt.info); got != tt.want {
			t.Errorf("%x is %d, want %d", tt.info[:min(len(tt.info), 20)], got, tt.want)
		}
	}
}

func TestAutologonOfWindows(t *testing.T) {
	for _, tt := range []struct {
		values, account string
		up              time.Duration
		want            autologon
	}{
		{"AutoAdminLogon=1 DefaultUserName=hmi", "HMI", time.Minute, autologonAtBoot},
		{`AutoAdminLogon=1 DefaultUserName=PRESS\hmi`, "hmi", time.Minute, autologonAtBoot},
		{"AutoAdminLogon=1 DefaultUserName=hmi", "hmi", time.Hour, autologonNever},
		{"AutoAdminLogon=1 DefaultUserName=hmi ForceAutoLogon=1", "hmi", time.Hour, autologonAlways},
		{"AutoAdminLogon=1 DefaultUserName=hmi ForceAutoLogon=1", "ann", time.Hour, autologonNever},
		{"AutoAdminLogon=0 DefaultUserName=hmi", "hmi", time.Minute, autologonNever},
		{"", "hmi", time.Minute, autologonNever},
	} {
		value := func(name string) string {
			_, after, _ := strings.Cut(" "+tt.values, " "+name+"=")
			v, _, _ := strings.Cut(after, " ")
			return v
		}
		if got := winlogon(value, tt.account, tt.up); got != tt.want {
			t.Errorf("%s of %s after %s: %d", tt.values, tt.account, tt.up, got)
		}
	}
}
