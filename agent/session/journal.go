package session

import "tapline/proto/record"

// JournalChanged tells that the journal cannot be written, fills up, or is well again: then its reason is empty.
const JournalChanged NoticeKind = "journal"

// Reasons of JournalChanged beside the faults of record.Journal.
const (
	JournalSlow record.Reason = "slow" // the disk takes records, and late
	JournalLow  record.Reason = "low"  // there is room for few days
)
