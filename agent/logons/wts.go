package logons

import (
	"context"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"tapline/agent/session"
	"tapline/installer/osservice"
	"tapline/proto/record"
)

// wtsSession is one session of Windows, as it was when it was asked for.
type wtsSession struct {
	number          uint32
	domain, account string // empty while nobody is logged on
	protocol        uint16 // what shows it: consoleProtocol, rdpProtocol or another
	connected       bool   // somebody can see it
	lock            lock
	autologon       autologon
}

// lock is what Windows knows of a session's lock.
type lock int

const (
	lockUnknown lock = iota
	locked
	unlocked
)

// autologon says whether Windows logs this account on by itself.
type autologon int

const (
	autologonNever  autologon = iota
	autologonAtBoot           // the first logon at the console, and the machine has just booted
	autologonAlways           // each logon at the console
)

// Values of WTSClientProtocolType.
const (
	consoleProtocol = 0
	rdpProtocol     = 2
)

// wtsSystem is what is asked of Windows.
type wtsSystem interface {
	all() ([]wtsSession, error)
	// one is a session; false when it is gone or Windows does not say.
	one(number uint32) (wtsSession, bool)
}

// wtsState is a session and what was told of it.
type wtsState struct {
	wtsSession
	told bool // a use of it was told, and has not ended
}

func (s wtsState) remote() bool { return s.protocol != consoleProtocol }

// inUse reports whether somebody can work in the session.
func (s wtsState) inUse() bool { return s.account != "" && s.connected && s.lock != locked }

func (s wtsState) useID() string { return "wts-" + strconv.FormatUint(uint64(s.number), 10) }

// wts turns what Windows tells of its sessions into uses: at most one of each session at a time, and each that was told goes on or is told to have ended.
type wts struct {
	cfg     Config
	known   map[uint32]wtsState // sessions that somebody is logged on to
	first   bool                // nothing was listed yet
	console bool                // somebody was logged on at the console already
}

func newWTS(cfg Config) *wts { return &wts{cfg: cfg, known: map[uint32]wtsState{}, first: true} }

// list takes in all sessions that there are. What is at the station's own screen at the first time was there before us.
func (w *wts) list(all []wtsSession) {
	gone := map[uint32]bool{}
	for number := range w.known {
		gone[number] = true
	}
	for _, found := range all {
		before, had := w.known[found.number]
		if found.lock == lockUnknown {
			found.lock = before.lock
		}
		now := wtsState{wtsSession: found}
		delete(gone, found.number)
		switch {
		case found.account == "":
			w.left(found.number)
		case w.first && !had && !now.remote():
			w.known[found.number], w.console = now, true
		case had && before.lock == locked:
			w.put(now, session.OSUnlock, false)
		default:
			w.put(now, session.OSSwitch, false)
		}
	}
	for number := range gone {
		w.left(number)
	}
	w.first = false
}

// hear takes in one event. Whoever came is asked for; who went is not, for the answer may be that nobody is there any more.
func (w *wts) hear(e osservice.Event, one func(uint32) (wtsSession, bool)) {
	before, had := w.known[e.Session]
	switch e.Kind {
	case osservice.SessionLogoff:
		w.left(e.Session)
		return
	case osservice.SessionLock, osservice.SessionDisconnect:
		if had && e.Kind == osservice.SessionLock {
			before.lock = locked
		}
		before.connected = before.connected && e.Kind != osservice.SessionDisconnect
		if had {
			w.put(before, "", false)
		}
		return
	case osservice.SessionLogon, osservice.SessionUnlock, osservice.SessionConnect:
	default:
		return
	}
	now := before
	if found, ok := one(e.Session); ok {
		if found.lock == lockUnknown {
			found.lock = before.lock
		}
		now.wtsSession = found
	}
	now.number = e.Session
	if now.account == "" { // a screen to log on at
		w.left(e.Session)
		return
	}
	now.connected = now.connected || e.Kind != osservice.SessionUnlock
	why := session.OSSwitch
	switch e.Kind {
	case osservice.SessionLogon:
		now.lock, why = unlocked, session.OSLogon
	case osservice.SessionUnlock:
		now.lock, now.connected, why = unlocked, true, session.OSUnlock
	}
	w.put(now, why, true)
}

// put compares a session with what it was. why is the reason of a use at the station itself that begins now; a sign begins one where nothing else has changed,
// because what ended the use before it may have been missed.
func (w *wts) put(now wtsState, why record.Reason, sign bool) {
	before := w.known[now.number]
	person := before.account != now.account || before.domain != now.domain
	if person {
		why = session.OSLogon
	}
	other := person || before.remote() != now.remote()
	now.told = before.told
	if now.told && (other || !now.inUse()) {
		w.cfg.Emit(session.Unused{ID: now.useID()})
		now.told = false
	}
	begins := now.inUse() && !now.told && (sign || other || !before.inUse())
	nobodys := why == session.OSLogon && w.automatic(now)
	if account, ok := w.watched(now); begins && ok && !nobodys {
		w.used(now, account, why)
		now.told = true
	}
	w.console = w.console || now.inUse() && !now.remote()
	w.known[now.number] = now
}

func (w *wts) used(s wtsState, account string, why record.Reason) {
	switch {
	case s.protocol == rdpProtocol:
		why = session.RDP
	case s.remote():
		why = session.Remote
	}
	w.cfg.Log.Info("the machine is used", zap.String("reason", string(why)), zap.String("account", account))
	w.cfg.Emit(session.Used{Use: session.Use{ID: s.useID(), Account: record.AccountID(account), Reason: why, Remote: s.remote()}})
}

// automatic reports whether nobody made the logon.
func (w *wts) automatic(s wtsState) bool {
	return !s.remote() && (s.autologon == autologonAlways || s.autologon == autologonAtBoot && !w.console)
}

// watched reports whether an account is one to look at, and how the configuration spells it. Windows does not tell capitals from small letters.
func (w *wts) watched(s wtsState) (string, bool) {
	for _, name := range w.cfg.Accounts {
		if strings.EqualFold(name, s.account) || strings.EqualFold(name, s.domain+`\`+s.account) {
			return name, true
		}
	}
	return s.account, len(w.cfg.Accounts) == 0
}

// left is a logoff.
func (w *wts) left(number uint32) {
	s, ok := w.known[number]
	delete(w.known, number)
	if ok && s.told {
		w.cfg.Emit(session.Unused{ID: s.useID()})
	}
}

// wtsEvery is how often all sessions are listed: for events that were missed, for agents that no service manager started, and for logons whose account Windows
// did not know yet when it told of them.
const wtsEvery = 2 * time.Second

// followSessions watches until ctx ends.
func followSessions(ctx context.Context, cfg Config, system wtsSystem) {
	w := newWTS(cfg)
	for len(cfg.Events) > 0 {
		<-cfg.Events // before our time
	}
	failed := w.look(system, false)
	again := time.NewTicker(wtsEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			failed = w.look(system, failed)
		case e := <-cfg.Events:
			w.hear(e, system.one)
			again.Reset(wtsEvery) // a list that is younger than the event may still have the state before it
		}
		if len(cfg.Events) == 0 && cfg.Lost != nil && cfg.Lost() {
			failed = w.look(system, failed)
		}
	}
}

// look lists all sessions; it reports whether that failed, and says so once.
func (w *wts) look(system wtsSystem, failed bool) bool {
	all, err := system.all()
	if err != nil {
		if !failed {
			w.cfg.Log.Warn("Windows does not list its sessions: logons are seen by its events alone", zap.Error(err))
		}
		return true
	}
	w.list(all)
	return false
}
