package uplink

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// take checks a receipt and, if it is good, keeps it. A bad one is an alarm and never counts.
func (d *drain) take(m *taplinev1.StreamRecordsResponse) (record.Receipt, error) {
	e, r, alarm, err := d.check(m)
	if err != nil {
		d.alarm(alarm, err)
		return record.Receipt{}, fmt.Errorf("receipt: %w", err)
	}
	acked := d.u.State().Acked
	d.u.change(func(s *State) {
		if r.Seq < acked {
			s.Alarm, s.AlarmText = BrokerBehind, fmt.Sprintf("the broker holds %d records of %d that it gave a receipt for", r.Seq, acked)
			return
		}
		s.Acked, s.Alarm, s.AlarmText = r.Seq, NoAlarm, ""
	})
	if r.Seq < acked || r.Seq == 0 {
		return r, nil
	}
	if err := d.u.cfg.Journal.Acked(e, r); err != nil {
		d.u.cfg.Log.Error("a receipt was not kept", zap.Error(err))
	}
	return r, nil
}

// check says what is wrong with a receipt.
func (d *drain) check(m *taplinev1.StreamRecordsResponse) (record.Envelope, record.Receipt, Alarm, error) {
	var r record.Receipt
	e, err := record.ParseEnvelope(m.GetReceipt())
	if err != nil {
		return e, r, ReceiptForged, err
	}
	if err := record.OpenStatement(e, record.ReceiptPayloadType, d.u.cfg.EvidenceKey(), &r); err != nil {
		return e, r, ReceiptForged, err
	}
	switch {
	case r.Station != d.u.cfg.Station || r.Chain != d.u.cfg.Chain:
		return e, r, ReceiptForged, fmt.Errorf("it is of %s, chain %s", r.Station, r.Chain)
	case uint64(r.Seq) != m.GetAckedSeq():
		return e, r, ReceiptForged, fmt.Errorf("it covers record %d, the answer says %d", r.Seq, m.GetAckedSeq())
	}
	alarm, err := d.compare(r)
	return e, r, alarm, err
}

// compare holds a receipt against our own records.
func (d *drain) compare(r record.Receipt) (Alarm, error) {
	first, next := d.u.cfg.Journal.Bounds()
	last := d.u.cfg.LastReceipt
	switch {
	case r.Seq >= next:
		return BrokerAhead, fmt.Errorf("the broker holds %d records, our journal ends at %d", r.Seq, next-1)
	case r.Seq == 0 && first <= 1:
		return NoAlarm, nil
	case r.Seq+1 < first:
		return BrokerBehind, fmt.Errorf("the broker holds %d records, our journal begins at %d", r.Seq, first)
	case r.Seq < first: // trimmed after this very receipt
		if last.Seq == r.Seq && last.Head != r.Head {
			return ReceiptForks, fmt.Errorf("record %d has two hashes under the broker's key", r.Seq)
		}
		return NoAlarm, nil
	}
	ours, err := d.hash(r.Seq)
	if err != nil {
		return JournalUnreadable, err
	}
	if ours != r.Head {
		return ReceiptForks, fmt.Errorf("record %d has hash %s, the broker says %s", r.Seq, ours, r.Head)
	}
	return NoAlarm, nil
}

// hash is the hash of our own record.
func (d *drain) hash(seq record.Seq) (record.Hash, error) {
	for raw, err := range d.u.cfg.Journal.Entries(seq) {
		if err != nil {
			return record.Hash{}, fmt.Errorf("read record %d: %w", seq, err)
		}
		e, err := record.ParseEnvelope(raw)
		if err != nil {
			return record.Hash{}, fmt.Errorf("read record %d: %w", seq, err)
		}
		return e.Hash(), nil
	}
	return record.Hash{}, errors.New("the record is not in the journal")
}
