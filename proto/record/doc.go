// Package record is what a record is: one signed, chained statement of what happened at a station.
//
// A record is a DSSE envelope around a JSON payload. What is signed is the stored bytes: nothing is ever serialised again to be checked,
// and there is exactly one way to write a given record (see SPEC.md, "Canonical form"), so a record that parses re-encodes to itself. Each
// record carries the SHA-256 of the signed bytes of the one before, so that a chain can only grow at its end; each epoch of a chain is
// signed with a key of its own, and the record that closes an epoch names the next key. The broker vouches for the first key of a chain in a
// station statement and for how far a chain had grown in receipts. With those three an auditor needs to trust neither the station
// nor the place where the records were kept.
//
// The agent writes with a Chain and the broker checks what arrives with CheckBatch. The auditor's tool reads with a Verifier, which names the
// first bad record and the way in which it is bad: a Fault. Package evidence, below this one, has the files.
//
// The package is pure: it opens no file, reads no clock, draws no random numbers, starts no goroutine and logs nothing. It holds no
// badge number, no PIN and no name of a person, because a payload has no field for them.
package record
