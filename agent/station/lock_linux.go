package station

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"tapline/proto/record"
)

// Lock is the driver of the mode lock: it has logind lock and unlock the graphical session, and looks whether a locker really is there. Asked to lock, logind
// only passes the word on; what locks is a program of the session, such as xss-lock with i3lock.
//
// A locker is believed when a helper in the session sees that another program holds the keyboard; where no helper is attached, when the session's
// LockedHint says so, which xss-lock sets and swaylock does not.
type Lock struct {
	// User is the account whose graphical session is locked; nil or empty is whoever's there is.
	User func() string
	// Helpers are asked whether somebody holds the keyboard.
	Helpers *Helpers
	// Bus is the address of the bus; empty is the system's.
	Bus string

	opened bool // it was seen open, and this driver has not locked it since; owned by who calls Enforce

	mu   sync.Mutex // guards conn
	conn *dbus.Conn
}

// Mode is lock.
func (l *Lock) Mode() record.Mode { return record.ModeLock }

// Run gives the bus back at the end.
func (l *Lock) Run(ctx context.Context, _ func()) error {
	<-ctx.Done()
	l.forget()
	return nil
}

const (
	login1      = "org.freedesktop.login1"
	managerPath = "/org/freedesktop/login1"
	managerFace = login1 + ".Manager"
	sessionFace = login1 + ".Session"

	// lockWithin is how long a locker may take to come or go, and lockLook how often it is looked at meanwhile.
	lockWithin = 4 * time.Second
	lockLook   = 50 * time.Millisecond
)

// Enforce locks or unlocks, and returns when it has seen that it is so. A station that cannot be locked is left unlocked. A session that this driver did not
// lock is left alone: whoever locks the screen by hand wants it so.
func (l *Lock) Enforce(ctx context.Context, open bool) error {
	ctx, cancel := context.WithTimeout(ctx, lockWithin)
	defer cancel()
	if open && l.opened {
		return nil
	}
	s, err := l.session(ctx)
	if err != nil {
		return err
	}
	l.Helpers.look(true)
	if open {
		return l.unlock(ctx, s)
	}
	if l.seen(ctx, s) == isLocked {
		return nil
	}
	l.opened = false
	if err := l.ask(ctx, s, "Lock"); err != nil {
		return err
	}
	if l.await(ctx, s, isLocked) {
		l.hint(ctx, s, true)
		return nil
	}
	// Nothing locked, or not in time: what comes late must not shut a station that counts as open.
	back, done := context.WithTimeout(context.WithoutCancel(ctx), lockWithin/4)
	defer done()
	return errors.Join(Unavailable{Reason: NoLocker}, l.ask(back, s, "Unlock"))
}

func (l *Lock) unlock(ctx context.Context, s dbus.BusObject) error {
	if err := l.ask(ctx, s, "Unlock"); err != nil { // also where no locker is seen: one may be on its way
		return err
	}
	if !l.await(ctx, s, isOpen) {
		return Unavailable{Reason: NotUnlocked}
	}
	l.opened = true
	l.Helpers.look(false)
	l.hint(ctx, s, false)
	return nil
}

// await waits until the session is locked, or is not.
func (l *Lock) await(ctx context.Context, s dbus.BusObject, want sight) bool {
	again := time.NewTicker(lockLook)
	defer again.Stop()
	for l.seen(ctx, s) != want {
		select {
		case <-ctx.Done():
			return false
		case <-again.C:
		}
	}
	return true
}

// seen looks whether a locker is there.
func (l *Lock) seen(ctx context.Context, s dbus.BusObject) sight {
	if saw, attached := l.Helpers.locker(); attached {
		return saw
	}
	hinted, ok := property(ctx, s, "LockedHint").(bool)
	switch {
	case !ok:
		return notSeen
	case hinted:
		return isLocked
	}
	return isOpen
}

// property is one of a session's; nil when it does not answer.
func property(ctx context.Context, s dbus.BusObject, name string) any {
	var v dbus.Variant
	if err := s.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, sessionFace, name).Store(&v); err != nil {
		return nil
	}
	return v.Value()
}

// hint says in logind what was seen, for lockers that do not. It is an extra: other programs read it, and only root or the session's account may.
func (l *Lock) hint(ctx context.Context, s dbus.BusObject, locked bool) {
	_ = s.CallWithContext(ctx, sessionFace+".SetLockedHint", 0, locked).Err
}

// ask has logind pass a word on to the session.
func (l *Lock) ask(ctx context.Context, s dbus.BusObject, what string) error {
	return l.fault(s.CallWithContext(ctx, sessionFace+"."+what, 0).Err)
}

// fault gives an error of the bus its word, and lets go of a bus that is gone.
func (l *Lock) fault(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) { // something else is wanted, or logind hangs
		return Unavailable{Reason: NoLogind, Err: err}
	}
	if name, ok := errors.AsType[dbus.Error](err); ok {
		switch name.Name {
		case "org.freedesktop.DBus.Error.AccessDenied", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired":
			return Unavailable{Reason: NotPermitted, Err: err}
		case "org.freedesktop.login1.NoSuchSession", "org.freedesktop.DBus.Error.UnknownObject":
			return Unavailable{Reason: NoSession, Err: err}
		}
	}
	l.forget()
	return Unavailable{Reason: NoLogind, Err: err}
}

// session finds the session of the shared account that has a screen: the one in the foreground, if there are several.
func (l *Lock) session(ctx context.Context) (dbus.BusObject, error) {
	conn, err := l.bus(ctx)
	if err != nil {
		return nil, Unavailable{Reason: NoLogind, Err: err}
	}
	var rows []struct {
		ID   string
		UID  uint32
		User string
		Seat string
		Path dbus.ObjectPath
	}
	if err := conn.Object(login1, managerPath).CallWithContext(ctx, managerFace+".ListSessions", 0).Store(&rows); err != nil {
		return nil, l.fault(err)
	}
	want := ""
	if l.User != nil {
		want = l.User()
	}
	var found dbus.BusObject
	for _, r := range rows {
		if want != "" && r.User != want {
			continue
		}
		s := conn.Object(login1, r.Path)
		kind := property(ctx, s, "Type")
		if kind != "x11" && kind != "wayland" && kind != "mir" || property(ctx, s, "Class") != "user" || property(ctx, s, "State") == "closing" {
			continue
		}
		if found == nil || property(ctx, s, "Active") == true {
			found = s
		}
	}
	if found == nil {
		return nil, Unavailable{Reason: NoSession}
	}
	return found, nil
}

// bus is the connection, made when there is none.
func (l *Lock) bus(ctx context.Context) (*dbus.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil && l.conn.Connected() {
		return l.conn, nil
	}
	var err error
	// The connection outlives the call that made it.
	if keep := dbus.WithContext(context.WithoutCancel(ctx)); l.Bus != "" {
		l.conn, err = dbus.Connect(l.Bus, keep)
	} else {
		l.conn, err = dbus.ConnectSystemBus(keep)
	}
	if err != nil {
		l.conn = nil
		return nil, fmt.Errorf("connect to the system bus: %w", err)
	}
	return l.conn, nil
}

func (l *Lock) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn = nil
	}
}
