package logons

import (
	"slices"

	"go.uber.org/zap"

	"tapline/agent/session"
	"tapline/proto/record"
)

// login is one logon as one source knows it.
type login struct {
	id      string
	account string
	uid     uint32 // noUID when the source does not know it
	service string // of PAM; empty when the source does not know it
	leader  uint32 // process
	remote  bool
	locked  bool
	active  bool
	idle    bool
	nobodys bool // an autologin
}

const noUID = ^uint32(0)

// watcher turns what the sources say into uses. Each source has one; one goroutine uses it.
type watcher struct {
	cfg    Config
	logins map[string]login
	first  bool // nothing was listed yet
}

func newWatcher(cfg Config) *watcher {
	return &watcher{cfg: cfg, logins: map[string]login{}, first: true}
}

// watched reports whether an account is one to look at.
func (w *watcher) watched(l login) bool {
	if len(w.cfg.Accounts) > 0 {
		return slices.Contains(w.cfg.Accounts, l.account)
	}
	return l.uid == noUID || l.uid == 0 || l.uid >= 1000 && l.uid <= 60000
}

// list takes in all logins that there are. What is at the station's screen at the first time was there before us.
func (w *watcher) list(all []login) {
	gone := w.logins
	w.logins = map[string]login{}
	for _, l := range all {
		before, had := gone[l.id]
		delete(gone, l.id)
		switch {
		case had:
			w.logins[l.id] = before
			w.changed(l)
		case w.first && !l.remote:
			w.logins[l.id] = l
		default:
			w.came(l)
		}
	}
	for id := range gone {
		w.cfg.Emit(session.Unused{ID: id})
	}
	w.first = false
}

// came is a new logon, or one that a logind that was restarted tells of again.
func (w *watcher) came(l login) {
	if _, known := w.logins[l.id]; known {
		w.changed(l)
		return
	}
	w.logins[l.id] = l
	if !w.watched(l) || l.nobodys {
		return
	}
	w.used(l, reasonOf(l))
}

func reasonOf(l login) record.Reason {
	switch {
	case l.service == "sshd":
		return session.SSH
	case l.remote:
		return session.Remote
	}
	return session.OSLogon
}

func (w *watcher) used(l login, why record.Reason) {
	w.cfg.Log.Info("the machine is used", zap.String("reason", string(why)), zap.String("account", l.account))
	w.cfg.Emit(session.Used{Use: session.Use{ID: l.id, Account: record.AccountID(l.account), Reason: why, Remote: l.remote}})
}

// changed compares a login with what it was.
func (w *watcher) changed(l login) {
	before := w.logins[l.id]
	w.logins[l.id] = l
	if !w.watched(l) || l.remote {
		return
	}
	switch {
	case before.locked && !l.locked:
		w.used(l, session.OSUnlock)
	case !before.active && l.active:
		w.used(l, session.OSSwitch)
	case before.idle && !l.idle && !l.locked:
		w.used(l, session.InputUsed)
	case !before.locked && l.locked, before.active && !l.active, !before.idle && l.idle:
		w.cfg.Emit(session.Unused{ID: l.id})
	}
}

// left is a logoff.
func (w *watcher) left(id string) {
	if _, ok := w.logins[id]; ok {
		delete(w.logins, id)
		w.cfg.Emit(session.Unused{ID: id})
	}
}
