// Package agent is the program on a station: it turns taps into attributed sessions and signed records.
//
// # The life of a tap
//
//  1. A reader source (package reader) sees a badge and emits an event. The number becomes a reference, a keyed hash that says which badge it is and
//     not its number, before anything else looks at it.
//  2. The station's loop feeds the event to package session, which is pure and says what to do: mostly, decide.
//  3. Decide: if the line to the broker stands, the broker is asked and has 400 ms. If it does not stand, or the time is up, the grant
//     bundle on the station's own disk decides at once. Whether the line stands is read, never probed, and what the broker refuses stays refused.
//  4. The answer goes back through session, which says what the record is. Package journal signs it, chains it and flushes it to the disk.
//  5. Only then does the station show a name: on the panel, and to programs on the station through the local API.
//  6. Package uplink sends the record to the broker, as soon as there is a line, and keeps the receipt.
//
// # What it promises
//
// It never stands between a person and the machine: a tap waits for the network no longer than the deadline, a reader that fails is
// only a reader that fails, and a journal that cannot be written makes a session that is shown as not recorded yet, kept in memory and
// written as soon as the disk takes it. It never lets a badge number into a record, a log, an error or a file. It never ends itself because
// something around it is missing.
//
// Config says what a station's settings are, New wires the parts and starts nothing, Run starts them, waits for all and says why it ended. The
// command tapagent calls it, and nobody else.
package agent
