package logons

import (
	"context"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// Names on the bus, of org.freedesktop.login1(5).
const (
	login1       = "org.freedesktop.login1"
	managerPath  = "/org/freedesktop/login1"
	sessionsPath = "/org/freedesktop/login1/session"
	managerFace  = "org.freedesktop.login1.Manager"
	sessionFace  = "org.freedesktop.login1.Session"
	propsFace    = "org.freedesktop.DBus.Properties"
	propsChanged = propsFace + ".PropertiesChanged"
)

// askWithin bounds a question to logind.
const askWithin = 5 * time.Second

// relist is how often all is listed anew, in case a signal was lost.
const relist = time.Minute

// listen is one connection: subscribe, list what there is, then follow. It ends with ctx or the connection. up is called once it stands.
func (w *watcher) listen(ctx context.Context, up func()) error {
	conn, err := w.connect(ctx)
	if err != nil {
		return fmt.Errorf("connect to the system bus: %w", err)
	}
	defer conn.Close()
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(login1), dbus.WithMatchInterface(managerFace), dbus.WithMatchObjectPath(managerPath)},
		{dbus.WithMatchSender(login1), dbus.WithMatchInterface(propsFace), dbus.WithMatchPathNamespace(sessionsPath)},
	} {
		if err := conn.AddMatchSignalContext(ctx, match...); err != nil {
			return fmt.Errorf("subscribe to logind: %w", err)
		}
	}
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	if err := w.listAll(ctx, conn); err != nil {
		return err
	}
	up()
	again := time.NewTicker(relist)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
			err = w.listAll(ctx, conn)
		case s, ok := <-signals:
			if !ok {
				return errBusClosed
			}
			err = w.hear(ctx, conn, s)
		}
		if err != nil {
			return err
		}
	}
}

func (w *watcher) connect(ctx context.Context) (*dbus.Conn, error) {
	if w.cfg.Bus != "" {
		return dbus.Connect(w.cfg.Bus, dbus.WithContext(ctx))
	}
	return dbus.ConnectSystemBus(dbus.WithContext(ctx))
}

// row is one of logind's list of sessions.
type row struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

func listRows(ctx context.Context, conn *dbus.Conn) ([]row, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var rows []row
	if err := conn.Object(login1, managerPath).CallWithContext(ctx, managerFace+".ListSessions", 0).Store(&rows); err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return rows, nil
}

// listAll asks for all sessions.
func (w *watcher) listAll(ctx context.Context, conn *dbus.Conn) error {
	rows, err := listRows(ctx, conn)
	if err != nil {
		return err
	}
	var all []login
	for _, r := range rows {
		if l, ok := askLogin(ctx, conn, r.Path); ok {
			all = append(all, l)
		}
	}
	w.list(all)
	return nil
}

// askLogin asks for one session; false when it is gone, or none of a person.
func askLogin(ctx context.Context, conn *dbus.Conn, path dbus.ObjectPath) (login, bool) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	props := map[string]dbus.Variant{}
	if err := conn.Object(login1, path).CallWithContext(ctx, propsFace+".GetAll", 0, sessionFace).Store(&props); err != nil {
		return login{}, false
	}
	l := login{id: string(path), uid: noUID}
	user, _ := props["User"].Value().([]any)
	if len(user) > 0 {
		if uid, ok := user[0].(uint32); ok {
			l.uid = uid
		}
	}
	l.account, _ = props["Name"].Value().(string)
	l.service, _ = props["Service"].Value().(string)
	l.leader, _ = props["Leader"].Value().(uint32)
	l.remote, _ = props["Remote"].Value().(bool)
	l.locked, _ = props["LockedHint"].Value().(bool)
	l.active, _ = props["Active"].Value().(bool)
	l.idle, _ = props["IdleHint"].Value().(bool)
	l.remote = l.remote || l.service == "sshd"
	class, _ := props["Class"].Value().(string)
	tty, _ := props["TTY"].Value().(string)
	l.nobodys = automatic(l, "") || l.service == "login" && tty != "" && gettyIsAutomatic(ctx, conn, tty)
	return l, class == "user"
}

// hear takes in one signal.
func (w *watcher) hear(ctx context.Context, conn *dbus.Conn, s *dbus.Signal) error {
	switch s.Name {
	case managerFace + ".SessionNew":
		if path, ok := pathOf(s); ok {
			if l, ok := askLogin(ctx, conn, path); ok {
				w.came(l)
			}
		}
	case managerFace + ".SessionRemoved":
		if path, ok := pathOf(s); ok {
			w.left(string(path))
		}
	case propsChanged:
		if _, known := w.logins[string(s.Path)]; known {
			if l, ok := askLogin(ctx, conn, s.Path); ok {
				w.changed(l)
			}
		}
	}
	return nil
}

// pathOf is the session of a SessionNew or SessionRemoved signal: (s id, o path).
func pathOf(s *dbus.Signal) (dbus.ObjectPath, bool) {
	if len(s.Body) < 2 {
		return "", false
	}
	path, ok := s.Body[1].(dbus.ObjectPath)
	return path, ok
}
