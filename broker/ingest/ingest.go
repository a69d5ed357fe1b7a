// Package ingest takes in the records of stations: it checks that they continue their chain, stores them, and acknowledges with a
// signed receipt what is durable.
//
// The station service calls Take for each batch. Before the receipt, every link and the signature of the batch's last record are checked, which
// binds each record to its chain; each record's own signature is checked soon after by Verify, a task of the broker. What does not verify is
// never dropped: a batch that is refused is kept as evidence, a record with a bad signature is marked, and both raise an alarm. A batch that comes
// again because its receipt was lost is acknowledged again and stored once.
//
// In the same update that stores records, their sessions and leases are brought up to date: the records are what happened. The package never
// changes a record and never asks a station anything.
package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"tapline/broker/alarm"
	"tapline/broker/identity"
	"tapline/broker/store"
	"tapline/broker/trace"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Limits of a batch.
const (
	MaxRecords = 1000
	MaxBytes   = 1 << 20
)

// Ingest takes records in.
type Ingest struct {
	Store    *store.Store
	Evidence *identity.Evidence
	Now      func() time.Time
	// Stored is called after records became durable.
	Stored func()
	// Seen, if it is set, is told of each record that became durable, once. It must not wait.
	Seen func(record.Payload)
}

// Batch is some records of a chain, oldest first.
type Batch struct {
	Station record.StationID
	Chain   record.ChainID
	First   record.Seq
	Records [][]byte
}

func (b Batch) check() error {
	size := 0
	for i, r := range b.Records {
		if len(r) > record.MaxRecord {
			return wire.E(wire.Invalid, "records: entry %d has %d bytes, limit %d", i, len(r), record.MaxRecord)
		}
		size += len(r)
	}
	switch {
	case !b.Chain.Valid():
		return wire.E(wire.Invalid, "chain: not a UUID in lower case")
	case len(b.Records) > MaxRecords:
		return wire.E(wire.Invalid, "records: %d, limit %d", len(b.Records), MaxRecords)
	case size > MaxBytes:
		return wire.E(wire.Invalid, "records: %d bytes, limit %d", size, MaxBytes)
	case len(b.Records) > 0 && (b.First == 0 || b.First > 1<<62):
		return wire.E(wire.Invalid, "first_seq: counts from 1")
	}
	return nil
}

// attempts bounds how often a batch is tried again because another stream of the same station was faster.
const attempts = 5

// Take stores a batch and gives the receipt for all that is stored of the chain. An empty batch only asks for the receipt.
func (in *Ingest) Take(ctx context.Context, b Batch) (e record.Envelope, r record.Receipt, err error) {
	ctx, end := trace.BeginRoot(ctx, "ingest batch")
	defer func() { end(err) }()
	trace.Count(ctx, "records", len(b.Records))
	if err := b.check(); err != nil {
		return record.Envelope{}, record.Receipt{}, err
	}
	for range attempts {
		head, err := in.try(ctx, b)
		if errors.Is(err, store.ErrMoved) {
			continue
		}
		if err != nil {
			return record.Envelope{}, record.Receipt{}, err
		}
		return in.receipt(head)
	}
	return record.Envelope{}, record.Receipt{}, wire.E(wire.Busy, "chain %s is being written by another stream", b.Chain)
}

func (in *Ingest) receipt(head record.Head) (record.Envelope, record.Receipt, error) {
	r := record.NewReceipt(head, in.Now(), "")
	e, err := in.Evidence.Sign(record.ReceiptPayloadType, &r)
	return e, r, err
}

// try checks a batch against the stored head and appends what is new of it.
func (in *Ingest) try(ctx context.Context, b Batch) (record.Head, error) {
	head, fresh, err := in.fresh(ctx, b)
	if err != nil || len(fresh) == 0 {
		return head, err
	}
	to, entries, err := record.CheckBatch(head, fresh, record.CheckHead)
	if fault := (*record.Fault)(nil); errors.As(err, &fault) {
		return head, in.refuse(ctx, b, fault, wire.BadEvidence, alarm.BadRecord)
	}
	if err != nil {
		return head, err
	}
	now := in.Now()
	last := len(entries) - 1
	checked := func(i int) bool { return i == last || entries[i].Payload.Seal != nil }
	err = in.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Append(head, to, entries, checked, now); err != nil {
			return err
		}
		return follow(tx, entries, now)
	})
	if err != nil {
		return head, err
	}
	in.Stored()
	for i := range entries {
		if in.Seen != nil {
			in.Seen(entries[i].Payload)
		}
	}
	return to, nil
}

// fresh reads the head of the batch's chain and gives what of the batch comes after it.
func (in *Ingest) fresh(ctx context.Context, b Batch) (head record.Head, fresh [][]byte, err error) {
	var again []store.Record
	err = in.Store.View(ctx, func(tx *store.Tx) error {
		c, err := tx.Chain(b.Chain)
		if errors.Is(err, store.ErrNotFound) || err == nil && c.Station != b.Station {
			return wire.E(wire.Denied, "chain %s is not one of station %s", b.Chain, b.Station)
		}
		if err != nil {
			return err
		}
		head = c.Head
		if known := b.known(head); known > 0 {
			again, err = tx.ChainRecords(b.Chain, b.First, known)
		}
		return err
	})
	if err != nil || len(b.Records) == 0 {
		return head, nil, err
	}
	if b.First > head.Seq+1 {
		fault := &record.Fault{
			Station: b.Station, Chain: b.Chain, Seq: head.Seq + 1, Kind: record.FaultGap,
			Detail: fmt.Sprintf("the batch begins with record %d", b.First),
		}
		return head, nil, in.refuse(ctx, b, fault, wire.Precondition, alarm.Gap)
	}
	for i, r := range again {
		if !bytes.Equal(r.Envelope, b.Records[i]) {
			fault := &record.Fault{
				Station: b.Station, Chain: b.Chain, Seq: r.Seq, Kind: record.FaultForked, Detail: "another record with this number is stored",
			}
			return head, nil, in.refuse(ctx, b, fault, wire.Stale, alarm.Fork)
		}
	}
	return head, b.Records[len(again):], nil
}

// known is how many records of the batch are stored already, if they are the same.
func (b Batch) known(head record.Head) int {
	if b.First > head.Seq {
		return 0
	}
	return int(min(uint64(head.Seq-b.First)+1, uint64(len(b.Records))))
}

// refuse keeps a batch as evidence, raises the alarm, and gives the error for the station.
func (in *Ingest) refuse(ctx context.Context, b Batch, f *record.Fault, kind wire.Kind, alarmKind alarm.Kind) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("name refused batch: %w", err)
	}
	now := in.Now()
	err = in.Store.Update(ctx, func(tx *store.Tx) error {
		err := tx.AddReject(store.Reject{
			ID: id.String(), Station: b.Station, Chain: b.Chain, FirstSeq: b.First, ReceivedAt: now, Fault: f.Kind, Detail: f.Error(),
			Batch: b.Records,
		})
		if err != nil {
			return err
		}
		return alarm.Raise(tx, alarmKind, b.Station, now, "%s", f.Error())
	})
	if err != nil {
		return err
	}
	return wire.E(kind, "%w", f)
}
