package record

import (
	"fmt"
	"time"
)

// Limits of an epoch. A writer seals at SealAfter or SealRecords; a verifier allows what lies between that and the greater limits, so that
// a station that was busy for an hour is not called a forger.
const (
	SealAfter       = 24 * time.Hour
	SealRecords     = 1000 // records of an epoch, the seal included
	MaxEpochAge     = 25 * time.Hour
	MaxEpochRecords = 1024
)

// Head is where a chain stands: all that is needed to check, or to write, the next record. It is a value; it can be stored as JSON.
type Head struct {
	Station StationID `json:"station"`
	Chain   ChainID   `json:"chain"`
	Seq     Seq       `json:"seq"`  // the last record; 0 before the first
	Hash    Hash      `json:"hash"` // of the last record; zero before the first
	// Epoch is the one that the next record belongs to: after a seal, the new one.
	Epoch        Epoch     `json:"epoch"`
	EpochKey     PublicKey `json:"epoch_key"`
	EpochRecords uint64    `json:"epoch_records"` // records of Epoch so far
	EpochBegan   time.Time `json:"epoch_began"`   // wall time of the seal before; of the enrolment, in the first
	// Boot and Monotonic are of the last record; empty when that is not known.
	Boot      string `json:"boot,omitempty"`
	Monotonic int64  `json:"mono_ns,omitempty"`
}

// Advance checks that e, whose payload is p, is the next record after h, as far as that can be told without its signature, and gives the head
// after it. Advancing over a whole chain and checking the last signature binds every record before it; see CheckBatch.
func (h Head) Advance(e Envelope, p Payload) (Head, *Fault) {
	if f := h.checkPlace(p); f != nil {
		return h, f
	}
	if f := h.checkEpoch(p); f != nil {
		return h, f
	}
	return h.after(e, p), nil
}

func (h Head) after(e Envelope, p Payload) Head {
	h.Seq, h.Hash = p.Seq, e.Hash()
	h.Boot, h.Monotonic = p.Time.Boot, p.Time.Monotonic
	h.EpochRecords++
	if p.Seal != nil {
		h.Epoch++
		h.EpochKey, h.EpochRecords, h.EpochBegan = p.Seal.Next, 0, p.Time.Wall
	}
	return h
}

// checkPlace checks whose record it is and where it stands.
func (h Head) checkPlace(p Payload) *Fault {
	switch want := h.Seq + 1; {
	case p.Station != h.Station:
		return h.fault(FaultWrongStation, "the record is of station %s", p.Station)
	case p.Chain != h.Chain:
		return h.fault(FaultWrongChain, "the record is of chain %s", p.Chain)
	case p.Seq > want:
		return h.fault(FaultGap, "record %d follows record %d", p.Seq, h.Seq)
	case p.Seq < want:
		return h.fault(FaultReplayed, "record %d follows record %d", p.Seq, h.Seq)
	case p.Epoch > h.Epoch:
		return h.fault(FaultEpochUnsealed, "the record is of epoch %d, epoch %d has no seal", p.Epoch, h.Epoch)
	case p.Epoch < h.Epoch:
		return h.fault(FaultEpochEnded, "the record is of epoch %d, which was sealed", p.Epoch)
	case p.Prev != h.Hash:
		return h.fault(FaultBrokenLink, "prev is %s, the record before has %s", p.Prev, h.Hash)
	}
	return nil
}

// checkEpoch checks the promises about sealing, and that time does not go back.
func (h Head) checkEpoch(p Payload) *Fault {
	records := h.EpochRecords + 1
	switch age := p.Time.Wall.Sub(h.EpochBegan).Abs(); {
	case p.Seal != nil && p.Seal.Records != records:
		return h.fault(FaultSealCount, "the seal counts %d records, there are %d", p.Seal.Records, records)
	case p.Seal != nil && p.Seal.Next == h.EpochKey:
		return h.fault(FaultKeyReused, "the seal names the key of its own epoch")
	case records > MaxEpochRecords || records == MaxEpochRecords && p.Seal == nil:
		return h.fault(FaultEpochOverfull, "%d records and no seal", records)
	case p.Seal == nil && age > MaxEpochAge:
		return h.fault(FaultEpochOverdue, "%s from the start of the epoch", age.Round(time.Second))
	case p.Time.Boot == h.Boot && h.Boot != "" && p.Time.Monotonic < h.Monotonic:
		return h.fault(FaultTimeBack, "monotonic time %d ns after %d ns", p.Time.Monotonic, h.Monotonic)
	}
	return nil
}

// checkSignature checks that the key of the epoch signed e.
func (h Head) checkSignature(e Envelope) *Fault {
	named, signed := e.KeyID() == h.EpochKey.ID(), e.Verify(h.EpochKey)
	switch {
	case named && signed:
		return nil
	case named:
		return h.fault(FaultBadSignature, "not the signature of key %s", e.KeyID())
	case signed:
		return h.fault(FaultKeyIDSwapped, "signed with key %s, names %s", h.EpochKey.ID(), e.KeyID())
	}
	return h.fault(FaultForeignKey, "names key %s, epoch %d has %s", e.KeyID(), h.Epoch, h.EpochKey.ID())
}

// fault is a fault at the place after h.
func (h Head) fault(kind FaultKind, format string, args ...any) *Fault {
	return &Fault{Station: h.Station, Chain: h.Chain, Seq: h.Seq + 1, Kind: kind, Detail: fmt.Sprintf(format, args...)}
}
