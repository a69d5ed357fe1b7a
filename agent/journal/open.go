package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"tapline/agent/statefile"
	"tapline/proto/ledger"
	"tapline/proto/record"
)

// Names in the journal's directory.
const (
	statementName = "station.dsse.json"
	trustName     = "trust.json"
	receiptName   = "receipt.dsse.json"
	recordsName   = "records"
)

const defaultKeep = 100_000

// Recovery says what Open found.
type Recovery struct {
	// Open is the record that began the session that the last run left open; nil if it left none.
	Open *record.Payload
	// Emergencies are those that the newest records tell of, oldest first.
	Emergencies []Emergency
	// Stopped is true when the last run ended in order, and when there was none.
	Stopped bool
	// Records counts the records that are here, and Torn the bytes of an unfinished write that were cut off.
	Records uint64
	Torn    int64
}

// Open opens the journal of a station, or begins it. It goes on from the broker's latest receipt and checks every record after that: its place
// in the chain, and the signature of the last. Errors to match: ErrKeyLost, ErrBehind, ErrDamaged, ledger.ErrLocked, ledger.ErrCorrupt.
func Open(cfg Config) (*Journal, Recovery, error) {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Keep == 0 {
		cfg.Keep = defaultKeep
	}
	j := &Journal{cfg: cfg, log: cfg.Log, wake: make(chan struct{}, 1), pause: newPause()}
	if err := record.OpenStatement(cfg.Statement, record.StationPayloadType, cfg.Evidence, &j.statement); err != nil {
		return nil, Recovery{}, fmt.Errorf("open journal: %w", err)
	}
	if err := j.prepare(); err != nil {
		return nil, Recovery{}, fmt.Errorf("open journal %s: %w", cfg.Dir, err)
	}
	l, found, err := ledger.Open(filepath.Join(cfg.Dir, recordsName), cfg.Ledger)
	if err != nil {
		return nil, Recovery{}, fmt.Errorf("open journal: %w", err)
	}
	j.ledger = l
	rec, err := j.resume()
	if err != nil {
		return nil, Recovery{}, fmt.Errorf("open journal: %w", errors.Join(err, l.Close()))
	}
	rec.Torn = found.TornBytes
	return j, rec, nil
}

// prepare makes the directory and the files that make it readable on its own.
func (j *Journal) prepare() error {
	if err := j.setAside(); err != nil {
		return err
	}
	if _, err := statefile.Folder(j.cfg.Dir); err != nil {
		return err
	}
	if err := statefile.Sweep(j.cfg.Dir); err != nil {
		return err
	}
	trust := record.Pin(j.cfg.Evidence)
	b, err := trust.Encode()
	if err != nil {
		return err
	}
	for name, want := range map[string][]byte{statementName: j.cfg.Statement.Bytes(), trustName: b} {
		have, err := os.ReadFile(filepath.Join(j.cfg.Dir, name))
		if err == nil && bytes.Equal(have, want) {
			continue
		}
		if err := statefile.Write(statefile.OS(), filepath.Join(j.cfg.Dir, name), want); err != nil {
			return err
		}
	}
	return nil
}

// setAside keeps the journal of an earlier chain, of before the station was enrolled anew, beside this one: journal.CHAIN.
func (j *Journal) setAside() error {
	b, err := os.ReadFile(filepath.Join(j.cfg.Dir, statementName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	e, err := record.ParseEnvelope(b)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, statementName, err)
	}
	var before record.StationStatement
	if err := json.Unmarshal(e.PayloadBytes(), &before); err != nil || !before.Chain.Valid() {
		return fmt.Errorf("%w: %s names no chain", ErrDamaged, statementName)
	}
	if before.Chain == j.statement.Chain {
		return nil
	}
	j.destroyKeysOf(before)
	j.log.Info("the journal of the earlier chain is set aside", zap.String("chain", string(before.Chain)))
	return os.Rename(j.cfg.Dir, j.cfg.Dir+"."+string(before.Chain))
}

// destroyKeysOf destroys the keys that an earlier chain left, so that nothing is ever signed for it again. That of epoch 1 is the new chain's.
func (j *Journal) destroyKeysOf(before record.StationStatement) {
	epoch := record.Epoch(1)
	if r, err := ledger.OpenReader(filepath.Join(j.cfg.Dir, recordsName), j.cfg.Ledger); err == nil {
		_, next := r.Bounds()
		for e, err := range r.Entries(max(next, 1) - 1) {
			if entry, bad := record.ReadEntry(e.Data); err == nil && bad == nil {
				epoch = entry.Payload.Epoch
			}
		}
	}
	for _, old := range []record.Epoch{epoch, epoch + 1, epoch + 2} {
		if old == 1 {
			continue
		}
		if err := j.cfg.Keys.Delete(KeyName(old)); err != nil {
			j.log.Warn("a key of the earlier chain is not destroyed", zap.String("chain", string(before.Chain)), zap.Error(err))
		}
	}
}

// resume finds where the chain stands, and the key that goes on with it.
func (j *Journal) resume() (Recovery, error) {
	if err := j.loadReceipt(); err != nil {
		return Recovery{}, err
	}
	head, last, err := j.walk()
	if err != nil {
		return Recovery{}, err
	}
	if j.chain, err = record.ResumeChain(j.statement, head); err != nil {
		return Recovery{}, err
	}
	if j.key, err = readKey(j.cfg.Keys, head.Epoch); err != nil {
		return Recovery{}, fmt.Errorf("%w: epoch %d: %w", ErrKeyLost, head.Epoch, err)
	}
	if record.PublicKeyOf(j.key) != head.EpochKey {
		return Recovery{}, fmt.Errorf("%w: the key store holds another key for epoch %d", ErrKeyLost, head.Epoch)
	}
	if head.Epoch > 1 { // left over if the last run ended between a seal and this
		j.retired = append(j.retired, head.Epoch-1)
		j.destroyRetired()
	}
	j.head = head
	rec := Recovery{Stopped: last == nil || last.Type == record.StationStopped, Records: uint64(head.Seq)}
	if last != nil {
		j.cfg.Clock.Resume(last.Time)
	}
	if rec.Open, err = j.lastOpen(); err != nil {
		return rec, err
	}
	rec.Emergencies, err = j.emergencies()
	return rec, err
}

// walk checks the records after the receipt and gives the head after them, and the last record if there is one.
func (j *Journal) walk() (record.Head, *record.Payload, error) {
	head := j.statement.Head()
	if j.acked.Seq > 0 {
		head = j.acked.Resume()
	}
	_, next := j.ledger.Bounds()
	if record.Seq(next) <= head.Seq {
		return head, nil, fmt.Errorf("%w: record %d is acknowledged, the last one here is %d", ErrBehind, head.Seq, next-1)
	}
	last, err := j.lastRecord(head)
	if err != nil {
		return head, nil, err
	}
	var batch [][]byte
	check := func() error {
		after, entries, err := record.CheckBatch(head, batch, record.CheckHead)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		head, batch = after, batch[:0]
		last = &entries[len(entries)-1].Payload
		return nil
	}
	for e, err := range j.ledger.Entries(ledger.Index(head.Seq + 1)) {
		if err != nil {
			return head, nil, err
		}
		if batch = append(batch, e.Data); len(batch) == maxBatch {
			if err := check(); err != nil {
				return head, nil, err
			}
		}
	}
	if len(batch) > 0 {
		if err := check(); err != nil {
			return head, nil, err
		}
	}
	return head, last, nil
}

// lastRecord is the record that the receipt acknowledges, which must be the one that is here. It is nil at the start of a chain.
func (j *Journal) lastRecord(head record.Head) (*record.Payload, error) {
	if head.Seq == 0 {
		return nil, nil
	}
	for e, err := range j.ledger.Entries(ledger.Index(head.Seq)) {
		if err != nil {
			return nil, err
		}
		entry, err := record.ReadEntry(e.Data)
		if err != nil || entry.Envelope.Hash() != head.Hash {
			return nil, fmt.Errorf("%w: record %d is not the one that the broker acknowledged", ErrDamaged, head.Seq)
		}
		return &entry.Payload, nil
	}
	return nil, fmt.Errorf("%w: record %d is gone", ErrDamaged, head.Seq)
}

// loadReceipt takes up the broker's latest receipt, if there is a good one. A bad one is only a reason to read more records.
func (j *Journal) loadReceipt() error {
	b, err := os.ReadFile(filepath.Join(j.cfg.Dir, receiptName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	e, err := record.ParseEnvelope(b)
	var r record.Receipt
	if err == nil {
		err = record.OpenStatement(e, record.ReceiptPayloadType, j.cfg.Evidence, &r)
	}
	if err != nil || r.Chain != j.statement.Chain || r.Station != j.statement.Station {
		j.log.Warn("receipt ignored", zap.Error(err))
		return nil
	}
	j.receipt, j.acked, j.saved = e, r, r.Seq
	return nil
}
