package record

import "fmt"

// FaultKind is one way in which evidence is bad. It is an error, so that errors.Is(err, FaultGap) works on anything this package returns.
// SPEC.md says for each what it means and which tampering leads to it.
type FaultKind string

// Faults of one envelope or payload on its own.
const (
	FaultMalformed      FaultKind = "malformed"       // not JSON of the right shape, or base64 that does not decode
	FaultNotCanonical   FaultKind = "not-canonical"   // says something, but not in the one allowed spelling
	FaultTooLarge       FaultKind = "too-large"       // more than MaxRecord bytes
	FaultUnsigned       FaultKind = "unsigned"        // no signature
	FaultExtraSignature FaultKind = "extra-signature" // more than one signature
	FaultPayloadType    FaultKind = "payload-type"    // the envelope says that it holds something else
	FaultUnknownVersion FaultKind = "unknown-version"
	FaultUnknownType    FaultKind = "unknown-type"
	FaultBadPayload     FaultKind = "bad-payload" // a field is missing, out of range, or has no place in this type
)

// Faults of a record in its chain.
const (
	FaultWrongStation  FaultKind = "wrong-station"
	FaultWrongChain    FaultKind = "wrong-chain"
	FaultGap           FaultKind = "gap"            // this number is missing: the next record found has a greater one
	FaultReplayed      FaultKind = "replayed"       // a number that was there before comes again
	FaultBrokenLink    FaultKind = "broken-link"    // prev is not the hash of the record before
	FaultEpochUnsealed FaultKind = "epoch-unsealed" // a later epoch begins and none sealed this one
	FaultEpochEnded    FaultKind = "epoch-ended"    // an epoch goes on after its seal
	FaultEpochOverfull FaultKind = "epoch-overfull" // more records than MaxEpochRecords without a seal
	FaultEpochOverdue  FaultKind = "epoch-overdue"  // a record further than MaxEpochAge from the start of its epoch
	FaultSealCount     FaultKind = "seal-count"     // the seal counts other records than there are
	FaultKeyReused     FaultKind = "key-reused"     // the seal names a key that has signed before
	FaultBadSignature  FaultKind = "bad-signature"  // names the right key, whose signature this is not
	FaultKeyIDSwapped  FaultKind = "keyid-swapped"  // the right key signed, but another is named
	FaultLaterKey      FaultKind = "later-key"      // signed with the key of a later epoch
	FaultEarlierKey    FaultKind = "earlier-key"    // signed with the key of an epoch that was sealed before
	FaultForeignKey    FaultKind = "foreign-key"    // signed with a key that is not of this chain
	FaultTimeBack      FaultKind = "time-back"      // monotonic time went back within one boot
	FaultNotOpen       FaultKind = "session-not-open"
	FaultOverlap       FaultKind = "session-overlap"
	FaultTorn          FaultKind = "torn" // a record breaks off, or its frame in a segment is damaged
)

// Faults of what the broker says about a chain.
const (
	FaultTrustMissing       FaultKind = "trust-missing"       // no key of a broker to check anything with
	FaultStatementMissing   FaultKind = "statement-missing"   // records without a station statement
	FaultStatementForged    FaultKind = "statement-forged"    // not signed by a key of the broker that was valid then
	FaultStatementMisplaced FaultKind = "statement-misplaced" // of another station or chain than the folder it lies in
	FaultChainTwice         FaultKind = "chain-twice"         // the same chain is there two times
	FaultChainMissing       FaultKind = "chain-missing"       // the chain that the station had before is not there
	FaultChainEnd           FaultKind = "chain-end"           // the chain before does not end as the statement says
	FaultReceiptMissing     FaultKind = "receipt-missing"
	FaultReceiptForged      FaultKind = "receipt-forged"
	FaultReceiptForeign     FaultKind = "receipt-foreign" // of another station or chain
	FaultTruncated          FaultKind = "truncated"       // the chain ends before the record that a receipt acknowledges
	FaultForked             FaultKind = "forked"          // the record at a receipt's number is not the one it acknowledges
)

// Error is the fault's word.
func (k FaultKind) Error() string { return string(k) }

// Fault names the first bad record of a chain. Seq is the number of the record that should stand at that place; it is 0 for a fault of
// the chain as a whole. Kind never changes its spelling; Detail is for people and may.
type Fault struct {
	Station StationID `json:"station"`
	Chain   ChainID   `json:"chain,omitempty"`
	Seq     Seq       `json:"seq"`
	Kind    FaultKind `json:"reason"`
	Detail  string    `json:"detail,omitempty"`
}

// Error says all that is known, on one line.
func (f *Fault) Error() string {
	s := fmt.Sprintf("station %s chain %s record %d: %s", f.Station, f.Chain, f.Seq, f.Kind)
	if f.Detail != "" {
		s += ": " + f.Detail
	}
	return s
}

// Unwrap gives the kind, for errors.Is.
func (f *Fault) Unwrap() error { return f.Kind }
