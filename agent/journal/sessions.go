package journal

import (
	"slices"

	"tapline/proto/ledger"
	"tapline/proto/record"
)

// lastOpen reads the journal backwards to the last record that tells whether a person's session is open, and gives it if one is.
func (j *Journal) lastOpen() (*record.Payload, error) {
	first, next := j.ledger.Bounds()
	closed := map[record.SessionID]bool{}
	for end := next; end > first; {
		begin := max(first, end-min(end, maxBatch))
		open, told, err := j.openIn(begin, end, closed)
		if told || err != nil {
			return open, err
		}
		end = begin
	}
	return nil, nil
}

// openIn looks at the records from begin up to end, without it, the last one first. A session.closed may be an emergency's.
func (j *Journal) openIn(begin, end ledger.Index, closed map[record.SessionID]bool) (open *record.Payload, told bool, err error) {
	list, err := j.between(begin, end)
	if err != nil {
		return nil, false, err
	}
	for _, p := range slices.Backward(list) {
		switch {
		case p.Type == record.SessionOpened || p.Type == record.SessionHandedOver:
			if closed[p.Session] {
				return nil, true, nil
			}
			return &p, true, nil
		case p.Type == record.SessionClosed && p.Person != "", p.Type == record.StationHeartbeat && p.Beat.State == "idle":
			return nil, true, nil
		case p.Type == record.SessionClosed:
			closed[p.Session] = true
		}
	}
	return nil, false, nil
}

// between gives the records from begin up to end, without it.
func (j *Journal) between(begin, end ledger.Index) ([]record.Payload, error) {
	var list []record.Payload
	for e, err := range j.ledger.Entries(begin) {
		if err != nil {
			return nil, err
		}
		if e.Index >= end {
			break
		}
		entry, err := record.ReadEntry(e.Data)
		if err != nil {
			return nil, err
		}
		list = append(list, entry.Payload)
	}
	return list, nil
}

// Emergency is what the journal says of one.
type Emergency struct {
	Opened  record.Payload
	InForce bool
	Claims  []record.PersonID
}

// emergencyReach is how many of the newest records are searched for emergencies: a month of a quiet station, and a fraction of a second. The broker
// remembers those before.
const emergencyReach = 10_000

// emergencies gives those among the newest records, oldest first, with what was said about them since.
func (j *Journal) emergencies() ([]Emergency, error) {
	first, next := j.ledger.Bounds()
	var list []Emergency
	of := func(id record.SessionID, change func(*Emergency)) {
		if i := slices.IndexFunc(list, func(e Emergency) bool { return e.Opened.Session == id }); i >= 0 {
			change(&list[i])
		}
	}
	for begin := max(first, next-min(next, emergencyReach)); begin < next; begin += maxBatch {
		records, err := j.between(begin, min(next, begin+maxBatch))
		if err != nil {
			return nil, err
		}
		for _, p := range records {
			switch p.Type {
			case record.EmergencyOpened:
				list = append(list, Emergency{Opened: p, InForce: true})
			case record.EmergencyClaimed:
				of(p.Claim.Emergency, func(e *Emergency) { e.Claims = append(e.Claims, p.Person) })
			case record.SessionClosed:
				of(p.Session, func(e *Emergency) { e.InForce = false })
			}
		}
	}
	return list, nil
}
