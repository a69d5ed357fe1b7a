// Package ledger keeps entries in append-only files that survive crashes. The agent's journal and the auditor's evidence are ledgers.
//
// An entry is a run of bytes that the caller has signed and that this package never looks into. It gets an index, counted
// from 1 without gaps, and once [Ledger.Append] has returned nil it is on the disk: written and flushed, in order, once. Entries
// of one call are kept whole: after a crash either all of them are there or none is. Entries leave only by [Ledger.TrimBefore],
// oldest first and by whole files.
//
// # What is promised when things break
//
// A write or flush that fails ends all acknowledgement: that call, those waiting with it and all that follow get [ErrFailed]
// until [Ledger.Reopen]. A flush is never tried twice, because a kernel that failed to write a page may call it clean and let
// the second try pass. Reopen cuts to the last acknowledged entry and goes on in a new file.
//
// A full disk is no failure: Append returns [ErrFull] and nothing has changed. [Ledger.AppendReserved], meant for the entries
// that close what others opened, turns a file that was set aside for this into the next segment, so it takes no space from
// anybody.
//
// After a crash, [Open] cuts an unfinished write off the end. It never cuts anything that was acknowledged: damage in the
// middle is [ErrCorrupt], named by file and offset, and the bytes stay. Whoever opens decides, by Options.Quarantine.
//
// # What it cannot know
//
// Checksums find accidents, not forgers: the entries' own signatures and chain do that. A last write that went bad after it
// was acknowledged looks the same as one that was never finished, and a ledger whose newest files were taken away looks like a
// shorter one; both are found by whoever holds a later hash or receipt. A disk that lies about flushing can't be seen through.
// Sectors of 512 bytes are taken to be written whole or not at all.
//
// The package starts no goroutine, logs nothing, and reads the clock and the disk only through [Options].
package ledger
