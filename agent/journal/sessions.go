package journal

import (
	"tapline/proto/ledger"
	"tapline/proto/record"
)

// lastOpen reads the journal backwards to the last record that tells whether a session is open, and gives it if one is.
func (j *Journal) lastOpen() (*record.Payload, error) {
	first, next := j.ledger.Bounds()
	for end := next; end > first; {
		begin := max(first, end-min(end, maxBatch))
		open, told, err := j.openIn(begin, end)
		if told || err != nil {
			return open, err
		}
		end = begin
	}
	return nil, nil
}

// openIn looks at the records from begin up to end, without it.
func (j *Journal) openIn(begin, end ledger.Index) (open *record.Payload, told bool, err error) {
	for e, err := range j.ledger.Entries(begin) {
		if err != nil {
			return nil, false, err
		}
		if e.Index >= end {
			break
		}
		entry, err := record.ReadEntry(e.Data)
		if err != nil {
			return nil, false, err
		}
		switch p := entry.Payload; {
		case p.Type == record.SessionOpened || p.Type == record.SessionHandedOver:
			open, told = &p, true
		case p.Type == record.SessionClosed, p.Type == record.StationHeartbeat && p.Beat.State == "idle":
			open, told = nil, true
		}
	}
	return open, told, nil
}
