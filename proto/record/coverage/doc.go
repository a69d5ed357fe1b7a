// Package coverage says what became of a station's time: every second of its day is exactly one of named, emergency, unattributed, idle, or agent
// down. Its input is the records of a station, verified by whoever calls it, in the order of their chains; its output is intervals that neither
// overlap nor leave a gap between the first record and the last sign of life, and totals for each calendar day that add up to the day's real length: 86,400 s in UTC, 23 or 25
// hours on the days on which a zone changes its clocks.
//
// # What time is
//
// Lengths are measured by the time since boot, which nobody can set; where a run of the operating system stands in the calendar, the broker's anchors say. So a
// wall clock that is set forth or back neither loses nor doubles a second. A boot that never heard the broker is placed by the station's own clock, moved into the
// room that the boots around it leave; Day.ByStationClock counts the time that rests on that. An anchor that contradicts the first one of its boot by more than any crystal drifts is
// not believed: a broker whose clock jumps does not stretch anybody's session.
//
// # What a second is
//
//   - The agent is up between two signs of life of one run that are no further apart than it promised in its heartbeats, with half a minute's grace. Any record is a
//     sign of life, but for those that a start may write before it says so (seals, clock.stepped, journal.degraded). All else is agent down: after station.stopped, after a
//     kill or a power cut from the last sign of life on, while the machine slept.
//   - A start may bring the mark of the run before (start.alive): nobody signed it while that run lived, so it prolongs that run past its last record by at most the interval that the
//     run had promised its next heartbeat in.
//   - An emergency is emergency, whoever is signed in. Between unattributed.began and unattributed.ended time is unattributed, and so is a session as long as its record is
//     not durable: one that began between journal.degraded and journal.recovered, and, when the disk was only slow, the one in force. Where records are missing (they were dropped, or
//     the journal was trimmed) time is unattributed until a record says how things stand.
//   - A session that is open is named; the rest is idle. A start ends what the run before left open.
//
// The auditor's tool and the agent's status screen call it. It is pure: it checks no signature, reads no clock and no file.
package coverage
