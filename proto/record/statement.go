package record

import (
	"fmt"
	"time"
)

// StationStatement is what the broker says of a chain when it enrols a station: whose it is and with which key it begins. It is signed with
// the broker's evidence key and lies beside the records.
type StationStatement struct {
	V       int       `json:"v"`
	Station StationID `json:"station"`
	Chain   ChainID   `json:"chain"`
	// IdentityKey is the station's long-lived key, SPKI in DER.
	IdentityKey []byte `json:"identity_key"`
	// FirstKey signs the first epoch.
	FirstKey   PublicKey `json:"first_key"`
	EnrolledAt time.Time `json:"enrolled_at"` // the broker's clock, UTC
	// Previous is where the station's earlier chain ended; absent for the first.
	Previous *ChainEnd `json:"previous,omitempty"`
}

// ChainEnd is the last record of a chain that the broker acknowledged.
type ChainEnd struct {
	Chain ChainID `json:"chain"`
	Seq   Seq     `json:"seq"`
	Hash  Hash    `json:"hash"`
}

// Validate says what is wrong with the statement. The error wraps a FaultKind.
func (s *StationStatement) Validate() error {
	switch {
	case s.V != Version:
		return fmt.Errorf("%w %d", FaultUnknownVersion, s.V)
	case !s.Station.Valid():
		return bad("station %q", s.Station)
	case !s.Chain.Valid():
		return bad("chain %q", s.Chain)
	case len(s.IdentityKey) == 0:
		return bad("no identity_key")
	case s.FirstKey.IsZero():
		return bad("no first_key")
	case s.EnrolledAt.IsZero() || !isUTC(s.EnrolledAt):
		return bad("enrolled_at must be a time in UTC")
	case s.Previous != nil && (!s.Previous.Chain.Valid() || s.Previous.Chain == s.Chain):
		return bad("previous chain %q", s.Previous.Chain)
	}
	return nil
}

// Head is where the chain stands before its first record.
func (s *StationStatement) Head() Head {
	return Head{
		Station: s.Station, Chain: s.Chain,
		Epoch: 1, EpochKey: s.FirstKey, EpochBegan: s.EnrolledAt,
	}
}

// Receipt is the broker's word that it holds a chain durably up to Seq. It says all that is needed to go on checking after that record, so that
// a station may drop what came before and keep the receipt in its place.
type Receipt struct {
	V       int       `json:"v"`
	Station StationID `json:"station"`
	Chain   ChainID   `json:"chain"`
	Seq     Seq       `json:"seq"`  // 0: nothing yet
	Head    Hash      `json:"head"` // hash of record Seq
	// Epoch, EpochKey, EpochRecords and EpochBegan are as in Head, after record Seq.
	Epoch        Epoch     `json:"epoch"`
	EpochKey     PublicKey `json:"epoch_key"`
	EpochRecords uint64    `json:"epoch_records"`
	EpochBegan   time.Time `json:"epoch_began"`
	BrokerTime   time.Time `json:"broker_time"` // the broker's clock, UTC
	// Nonce is what the station sent to be signed, so that it knows the time to be fresh.
	Nonce string `json:"nonce,omitempty"`
	// Log names the log whose checkpoint lies in the export that the receipt is made for, so that it cannot be taken out unseen.
	Log string `json:"log,omitempty"`
}

// NewReceipt acknowledges head at the broker's time now. nonce may be empty.
func NewReceipt(head Head, now time.Time, nonce string) Receipt {
	return Receipt{
		V: Version, Station: head.Station, Chain: head.Chain, Seq: head.Seq, Head: head.Hash,
		Epoch: head.Epoch, EpochKey: head.EpochKey, EpochRecords: head.EpochRecords, EpochBegan: utc(head.EpochBegan),
		BrokerTime: utc(now), Nonce: nonce,
	}
}

// Validate says what is wrong with the receipt. The error wraps a FaultKind.
func (r *Receipt) Validate() error {
	switch {
	case r.V != Version:
		return fmt.Errorf("%w %d", FaultUnknownVersion, r.V)
	case !r.Station.Valid():
		return bad("station %q", r.Station)
	case !r.Chain.Valid():
		return bad("chain %q", r.Chain)
	case (r.Seq == 0) != r.Head.IsZero():
		return bad("seq %d with head %s", r.Seq, r.Head)
	case r.Epoch == 0 || r.EpochKey.IsZero():
		return bad("no epoch")
	case !isUTC(r.EpochBegan) || !isUTC(r.BrokerTime) || r.BrokerTime.IsZero():
		return bad("times must be in UTC")
	case len(r.Log) > MaxLogName:
		return bad("log: longer than %d", MaxLogName)
	}
	return nil
}

// MaxLogName is the longest name of a log in a receipt, in bytes.
const MaxLogName = 512

// Resume is the head that the receipt acknowledges.
func (r *Receipt) Resume() Head {
	return Head{
		Station: r.Station, Chain: r.Chain, Seq: r.Seq, Hash: r.Head,
		Epoch: r.Epoch, EpochKey: r.EpochKey, EpochRecords: r.EpochRecords, EpochBegan: r.EpochBegan,
	}
}

// ReadStation reads a station statement without asking who signed it. See Trust.Station.
func ReadStation(e Envelope) (StationStatement, error) {
	var s StationStatement
	return s, e.readStatement(StationPayloadType, &s)
}

// ReadReceipt reads a receipt without asking who signed it. See Trust.Receipt.
func ReadReceipt(e Envelope) (Receipt, error) {
	var r Receipt
	return r, e.readStatement(ReceiptPayloadType, &r)
}

// LogStatement is what the broker says of its Merkle log: by which name and key its checkpoints are known. It is signed with the evidence key.
type LogStatement struct {
	V      int       `json:"v"`
	Origin string    `json:"origin"` // of the checkpoints
	Key    PublicKey `json:"key"`
	From   time.Time `json:"from"` // since when the key signs; the broker's clock, UTC
}

// Validate says what is wrong with the statement. The error wraps a FaultKind.
func (s *LogStatement) Validate() error {
	switch {
	case s.V != Version:
		return fmt.Errorf("%w %d", FaultUnknownVersion, s.V)
	case s.Origin == "" || len(s.Origin) > maxString || s.Key.IsZero():
		return bad("log %q without origin or key", s.Origin)
	case s.From.IsZero() || !isUTC(s.From):
		return bad("from must be a time in UTC")
	}
	return nil
}

func utc(t time.Time) time.Time { return t.Round(0).UTC() }

// isUTC wants the zone that prints as Z, so that a time has one spelling.
func isUTC(t time.Time) bool {
	_, offset := t.Zone()
	return offset == 0
}
