// Package journal keeps a station's records: it signs them, chains them and holds them on the station's own disk until the broker has
// them, and for a while after.
//
// The agent writes here and nowhere else: a statement that Write has taken is signed, in its place in the chain and flushed to the disk when
// Write returns nil. One goroutine, Run, signs and appends; what waits while one flush runs shares the next. The same goroutine seals
// epochs: it puts the next epoch's key into the key store, writes the seal that names it, and only then destroys the old key, so that a crash
// at any step leaves a key for the next record and never a second one for the last.
//
// When the disk fails or fills up, nothing is lost in silence and nobody waits: Write keeps the statement in memory, returns
// ErrDegraded at once, and what was kept is written, between a record of the degradation and one of the recovery, as soon as the disk takes it. A
// record that closes a session, or is about an emergency, uses the space that was set aside for it.
//
// It never sends anything (the uplink reads it and hands back receipts), never decides, and never throws away a record that no receipt covers.
//
// On the disk, in the directory that an auditor's tool reads as it is:
//
//	station.dsse.json   the broker's statement of whose chain this is
//	trust.json          the broker's evidence key, for information
//	receipt.dsse.json   the broker's latest receipt
//	records/            the ledger; the index of an entry is the record's sequence number
package journal

import "errors"

// What a caller can match with errors.Is.
var (
	// ErrDegraded: the record could not be written now. It is kept in memory and written, in its place, once the disk takes it again.
	ErrDegraded = errors.New("journal degraded")
	// ErrClosed: the journal has ended, or holds in memory as many records as it may; the record is not kept.
	ErrClosed = errors.New("journal is closed")
	// ErrKeyLost: the private key of the epoch in force is not in the key store, so the chain cannot go on.
	ErrKeyLost = errors.New("record key lost")
	// ErrBehind: the broker acknowledged records that are no longer here, as after an old image was put back.
	ErrBehind = errors.New("journal is behind its receipt")
	// ErrDamaged: a record does not fit the chain.
	ErrDamaged = errors.New("journal damaged")
)
