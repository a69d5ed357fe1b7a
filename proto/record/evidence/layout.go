package evidence

import "tapline/proto/record"

// Names in the folders.
const (
	TrustFile   = "trust.json"
	StationFile = "station.dsse.json"
	ReceiptFile = "receipt.dsse.json"
	RecordsFile = "records.jsonl" // in an export
	RecordsDir  = "records"       // in a journal
	StationsDir = "stations"

	LogDir           = "log" // of an export: what the broker's Merkle log says of it
	LogStatementFile = "log.dsse.json"
	CheckpointFile   = "checkpoint"
	BetweenFile      = "between.txt"
	ConsistencyFile  = "consistency"
	LeavesFile       = "leaves.txt" // beside the records
)

// ChainPath is where a chain lies in an export, with "/" between: "stations/site/area/line/station/chain".
func ChainPath(station record.StationID, chain record.ChainID) string {
	return StationsDir + "/" + string(station) + "/" + string(chain)
}

// Form is the way in which a chain is stored.
type Form string

// The two forms.
const (
	Export  Form = "export"
	Journal Form = "journal"
)
