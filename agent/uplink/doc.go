// Package uplink is the station's line to its broker: the stream of commands and beats, the stream of records and receipts, and the
// few calls that a session needs.
//
// The agent makes one Uplink and runs it for ever. Run keeps one line at a time to one broker: it dials, waits until the command
// stream has answered, drains the journal, fetches grants, and when anything of that fails, or a deadline passes, gives the
// line up and goes to the next broker, with a growing pause after each round.
//
// Whether there is a line is one word in memory, Connected. It turns false the moment something failed and true only when the command stream
// of a new line has answered; the path of a tap reads it and never probes, so a broker that swallows packets costs one tap its
// deadline and the next one nothing.
//
// Records go in order from wherever the broker's receipt says it is, so a cut at any point loses nothing and sends nothing that is
// stored twice. A receipt counts only when the broker's evidence key signed it and its head is the hash of our own record; any other is an
// alarm, and nothing is ever dropped because of one. The package makes no decision about a person, signs nothing, stores nothing itself, and
// never logs a badge number.
package uplink
