// Package logons watches who uses the machine as the operating system knows it: logons at the station and from afar, unlocks, the switch of the screen to
// another account. The session's state machine makes of it what no tap explains (package session, Used and Unused).
//
// On Linux it listens to logind over D-Bus and reads the login records of utmp beside it, because not every way in goes through logind. Whoever
// was at the station's own screen before the agent started is taken for the shared account that runs for weeks, and is no use; a shell from afar is. Logons that nobody
// makes (a display manager's or getty's autologin) are no use either.
//
// On Windows it hears the session events that the service manager passes on, asks Windows for account and protocol of the session, and lists all sessions beside
// it every two seconds. The rules are those of Linux. What an event means is decided without Windows (wts), so that it is tested everywhere.
//
// On other systems nothing is watched, and Run says so.
//
// Package agent calls it. It reconnects for ever, asks for no rights, ends nobody's session and reads nobody's input.
package logons

import (
	"go.uber.org/zap"

	"tapline/agent/session"
	"tapline/installer/osservice"
)

// Config is what a watcher needs.
type Config struct {
	// Accounts are the accounts that are watched; none is all that are people's (user ID 0, and 1000 to 60000).
	Accounts []string
	// Emit takes a session.Used or session.Unused. It may wait.
	Emit func(session.Event)
	Log  *zap.Logger

	// Events are those of sessions, on Windows; nil for none. Lost reports, once, that some did not fit into it.
	Events <-chan osservice.Event
	Lost   func() bool

	// For tests: the address of the system bus, the file of login records, the folder of processes and that of logind's seats; empty is the machine's.
	Bus, Utmp, Proc, Seats string
}
