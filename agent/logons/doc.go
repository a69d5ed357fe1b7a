// Package logons watches who uses the machine as the operating system knows it: logons at the station and from afar, unlocks, the switch of the screen to
// another account. The session's state machine makes of it what no tap explains (package session, Used and Unused).
//
// On Linux it listens to logind over D-Bus and reads the login records of utmp beside it, because not every way in goes through logind. Whoever
// was at the station's own screen before the agent started is taken for the shared account that runs for weeks, and is no use; a shell from afar is. Logons that nobody
// makes (a display manager's or getty's autologin) are no use either. On other systems nothing is watched yet, and Run says so.
//
// Package agent calls it. It reconnects for ever, asks for no rights, ends nobody's session and reads nobody's input.
package logons

import (
	"go.uber.org/zap"

	"tapline/agent/session"
)

// Config is what a watcher needs.
type Config struct {
	// Accounts are the accounts that are watched; none is all that are people's (user ID 0, and 1000 to 60000).
	Accounts []string
	// Emit takes a session.Used or session.Unused. It may wait.
	Emit func(session.Event)
	Log  *zap.Logger

	// For tests: the address of the system bus, the file of login records, the folder of processes and that of logind's seats; empty is the machine's.
	Bus, Utmp, Proc, Seats string
}
