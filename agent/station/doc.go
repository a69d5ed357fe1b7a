// Package station makes a station enforce: it gets what is wanted (the mode, and whether the station is open to whoever is there) and has one driver for
// each mode bring that about, on the operating system that it runs on.
//
//	attribute   nothing is enforced, so nothing can fail
//	gate        the helper in the graphical session (package gate) holds keyboard and pointer
//	lock        logind locks and unlocks the session, and the locker is looked for
//	signin      the operating system's own sign-in asks the agent
//
// A mode that cannot be had makes way for the one before it in this list, until it can be had again; each change is reported, and becomes a record. Whatever
// happens, the station is opened rather than left shut: a driver that fails leaves it open, and so does an agent that stops.
//
// Package agent calls it, and nobody else. It decides nothing about people and is never waited for on the path of a tap: Set only notes what is wanted.
package station
