package journal

import (
	"fmt"
	"iter"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"tapline/agent/statefile"
	"tapline/proto/ledger"
	"tapline/proto/record"
)

// Entries yields the records from seq from on, the stored bytes, up to the newest that was durable when the iteration began.
func (j *Journal) Entries(from record.Seq) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for e, err := range j.ledger.Entries(ledger.Index(from)) {
			if !yield(e.Data, err) {
				return
			}
		}
	}
}

// Bounds gives the sequence numbers of the oldest record that is here and of the one that will be written next.
func (j *Journal) Bounds() (first, next record.Seq) {
	f, n := j.ledger.Bounds()
	return record.Seq(f), record.Seq(n)
}

// Appended returns a channel that is closed as soon as a record becomes durable after this call.
func (j *Journal) Appended() <-chan struct{} { return j.ledger.Appended() }

// Head is where the durable chain stands.
func (j *Journal) Head() record.Head {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.head
}

// Receipt is the newest receipt; zero when there is none yet.
func (j *Journal) Receipt() record.Receipt {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.acked
}

// Acked takes in a receipt whose signature the caller has checked. It is on the disk within a second: a lost one costs only that records are
// sent again.
func (j *Journal) Acked(receipt record.Envelope, r record.Receipt) error {
	_, next := j.Bounds()
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case r.Station != j.statement.Station || r.Chain != j.statement.Chain:
		return fmt.Errorf("receipt for chain %s of %s, this is %s of %s", r.Chain, r.Station, j.statement.Chain, j.statement.Station)
	case r.Seq >= next:
		return fmt.Errorf("receipt for record %d: %w: the last one here is %d", r.Seq, ErrBehind, next-1)
	case r.Seq < j.acked.Seq:
		return nil
	}
	j.receipt, j.acked, j.unsaved = receipt, r, true
	return nil
}

func (j *Journal) saveReceipt() {
	j.mu.Lock()
	receipt, covers, unsaved := j.receipt, j.acked.Seq, j.unsaved
	j.unsaved = false
	j.mu.Unlock()
	if !unsaved {
		return
	}
	err := statefile.Write(statefile.OS(), filepath.Join(j.cfg.Dir, receiptName), receipt.Bytes())
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		if !j.unsavable { // once, not each second: the disk may be away for a day
			j.log.Warn("receipt not saved", zap.Error(err))
		}
		j.unsaved, j.unsavable = true, true
		return
	}
	j.saved, j.unsavable = covers, false
}

// trim lets go of the oldest records. The one that the saved receipt acknowledges stays: from it the next start goes on.
func (j *Journal) trim() {
	j.mu.Lock()
	saved := j.saved
	j.mu.Unlock()
	first, next := j.Bounds()
	if uint64(next) <= j.cfg.Keep {
		return
	}
	before := min(saved, next-record.Seq(j.cfg.Keep))
	if before <= first {
		return
	}
	if err := j.ledger.TrimBefore(ledger.Index(before)); err != nil {
		j.log.Warn("old records not removed", zap.Error(err))
	}
}

// Status is how the journal is at one moment.
type Status struct {
	Head     record.Head
	Acked    record.Seq
	Bytes    int64
	Free     int64 // -1 where that cannot be asked
	Degraded string
	Since    time.Time // of the degradation
	// Waiting counts the statements that are on their way to the disk: more than a few, for long, is a disk that hangs.
	Waiting int
}

// Healthy reports whether everything that was written is on the disk and more would be.
func (j *Journal) Healthy() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.degraded == "" && len(j.queue)+j.writing == 0
}

// Status tells how the journal is. It asks the disk for its free space.
func (j *Journal) Status() Status {
	s := j.ledger.Stats()
	j.mu.Lock()
	defer j.mu.Unlock()
	return Status{Head: j.head, Acked: j.acked.Seq, Bytes: s.Bytes, Free: s.Free, Degraded: j.degraded, Since: j.since, Waiting: len(j.queue) + j.writing}
}
