// Package session decides what happens at a station: it takes one event after another (a tap, a badge that left, an answer to a question,
// time that passed) and gives back the new state and what is to be done about it.
//
// It is pure. It reads no clock, waits for nothing, keeps nothing between two calls: Rules.Step is a function from state, event and time to
// state and effects, and the agent around it does what the effects say, in their order. An effect that writes a record
// comes before those that show what it says, because nobody is named before the record is durable.
//
// What always holds, whatever comes in whatever order:
//
//   - At most one session is open, and each one that was opened is closed or handed over, by one record.
//   - The badge of the person at the station never ends the session by itself: it is asked first, and only a second tap while the station
//     asks is an answer. Within the bounce time a badge is one tap.
//   - A tap is decided, or refused with a reason that is recorded. While one is being decided the last to come waits.
//   - A tap that waits for a PIN or a second person takes nothing from whoever is there, is answered by one record, and never waits past its time. No
//     state holds a PIN.
//   - Whoever may not be there alone is recorded with another person, by another badge; if that one stays, either one's leaving ends the session.
//   - A lease that was granted is given back, also when its session never began.
//
// Package agent calls it, and nobody else. It never sees a network, a file or a reader.
package session
