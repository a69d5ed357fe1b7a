package osservice

import "fmt"

// EventKind names what happened to the machine or to one of its sessions.
type EventKind int

// The kinds that Windows reports to a service. Linux services learn of sessions from logind instead.
const (
	SessionLogon EventKind = iota + 1
	SessionLogoff
	SessionLock
	SessionUnlock
	SessionConnect
	SessionDisconnect
	PowerSuspend
	PowerResume
)

// String is the kind in words, for logs.
func (k EventKind) String() string {
	names := [...]string{
		SessionLogon: "session logon", SessionLogoff: "session logoff",
		SessionLock: "session lock", SessionUnlock: "session unlock",
		SessionConnect: "session connect", SessionDisconnect: "session disconnect",
		PowerSuspend: "power suspend", PowerResume: "power resume",
	}
	if k <= 0 || int(k) >= len(names) {
		return fmt.Sprintf("event %d", int(k))
	}
	return names[k]
}

// Event is one thing that the service manager told the service about its surroundings.
type Event struct {
	Kind EventKind
	// Session is the number of the Windows session that it happened to; 0 for power events.
	Session uint32
}
