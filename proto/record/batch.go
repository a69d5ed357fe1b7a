package record

import (
	"errors"
	"fmt"
)

// Check says how much of a batch is checked.
type Check int

const (
	// CheckHead checks every link, every seal's signature and the last record's: enough to bind each record of the batch to a key of its chain,
	// at the price of one signature. What it leaves open is whether each record carries a good signature of its own.
	CheckHead Check = iota
	// CheckAll checks every signature.
	CheckAll
)

// Entry is a record in both its forms.
type Entry struct {
	Envelope Envelope
	Payload  Payload
}

// CheckBatch checks that raw are the records after head, oldest first, and gives the head after them. On error the head that it returns is the one that it
// was given, because without the last signature nothing of the batch is known to be good; the error is a *Fault.
func CheckBatch(head Head, raw [][]byte, how Check) (Head, []Entry, error) {
	entries := make([]Entry, 0, len(raw))
	at := head
	for i, b := range raw {
		signed := how == CheckAll || i == len(raw)-1
		e, f := at.read(b)
		if f != nil {
			return head, nil, f
		}
		next, f := at.Advance(e.Envelope, e.Payload)
		if f == nil && (signed || e.Payload.Seal != nil) {
			f = at.checkSignature(e.Envelope)
		}
		if f != nil {
			return head, nil, f
		}
		at, entries = next, append(entries, e)
	}
	return at, entries, nil
}

// ReadEntry reads one record on its own. The error wraps a FaultKind. It does not check the signature.
func ReadEntry(raw []byte) (Entry, error) {
	if len(raw) > MaxRecord {
		return Entry{}, fmt.Errorf("read record: %w: more than %d bytes", FaultTooLarge, MaxRecord)
	}
	e, err := ParseEnvelope(raw)
	if err != nil {
		return Entry{}, err
	}
	p, err := e.Payload()
	return Entry{Envelope: e, Payload: p}, err
}

// read reads the record after h.
func (h Head) read(raw []byte) (Entry, *Fault) {
	e, err := ReadEntry(raw)
	if err != nil {
		return Entry{}, h.fault(kindOf(err), "%s", err)
	}
	return e, nil
}

// kindOf is the kind that err wraps.
func kindOf(err error) FaultKind {
	var kind FaultKind
	if errors.As(err, &kind) {
		return kind
	}
	return FaultMalformed
}
