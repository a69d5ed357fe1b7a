package record

// Faults of what the broker's Merkle log says about the records: SPEC.md of proto/checkpoint.
const (
	FaultLogMissing     FaultKind = "log-missing"     // no log where one was promised, or no word of the broker for its key
	FaultLogForged      FaultKind = "log-forged"      // statement or checkpoint are not signed by whom they should be
	FaultLogUnwitnessed FaultKind = "log-unwitnessed" // too few of the witnesses cosigned the checkpoint
	FaultLogMalformed   FaultKind = "log-malformed"   // a list of leaves, or a proof, that cannot be read
	FaultNotInLog       FaultKind = "not-in-log"      // the log has another record at this place
	FaultLogRoot        FaultKind = "log-root"        // the leaves do not give the root of the checkpoint
	FaultLogBehind      FaultKind = "log-behind"      // the log is shorter than it was
	FaultLogForked      FaultKind = "log-forked"      // the log does not continue the one that it was
)
