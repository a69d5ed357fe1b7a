package fleet

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"iter"
	"sync"
	"time"

	"tapline/proto/ledger"
	"tapline/proto/record"
)

// journal is a station's chain in memory. It keeps every record.
type journal struct {
	gap      *Gap
	disk     *ledger.Ledger // where each record is made durable first; nil for memory alone
	mu       sync.Mutex     // guards what follows
	chain    *record.Chain
	key      ed25519.PrivateKey
	boot     string
	began    time.Time
	records  [][]byte
	acked    record.Seq
	appended chan struct{}
}

func newJournal(statement record.StationStatement, key ed25519.PrivateKey, boot string, gap *Gap, disk *ledger.Ledger) *journal {
	return &journal{gap: gap, disk: disk, chain: record.NewChain(statement), key: key, boot: boot, began: time.Now(), appended: make(chan struct{})}
}

// write signs and appends a record, after the seal that may be due before it.
func (j *journal) write(p record.Payload) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.chain.SealDue(time.Now()) {
		_, next, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return fmt.Errorf("make epoch key: %w", err)
		}
		e, err := j.chain.Seal(record.Payload{Time: j.time()}, j.key, record.PublicKeyOf(next))
		if err != nil {
			return fmt.Errorf("seal epoch: %w", err)
		}
		if err := j.append(e); err != nil {
			return err
		}
		j.key = next
	}
	p.Time = j.time()
	e, err := j.chain.Next(p, j.key)
	if err != nil {
		return fmt.Errorf("sign record: %w", err)
	}
	return j.append(e)
}

func (j *journal) append(e record.Envelope) error {
	if j.disk != nil {
		if _, err := j.disk.Append(context.Background(), e.Bytes()); err != nil {
			return fmt.Errorf("append record: %w", err)
		}
	}
	if err := j.chain.Commit(e); err != nil {
		return fmt.Errorf("append record: %w", err)
	}
	j.records = append(j.records, e.Bytes())
	close(j.appended)
	j.appended = make(chan struct{})
	return nil
}

func (j *journal) time() record.Time {
	return record.Time{Wall: time.Now().UTC().Round(0), Boot: j.boot, Monotonic: int64(time.Since(j.began)), State: record.ClockUnanchored}
}

func (j *journal) head() record.Head {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.chain.Head()
}

// under is how many records are under a receipt.
func (j *journal) under() record.Seq {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.acked
}

// from gives the records from a number on.
func (j *journal) from(seq record.Seq) [][]byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.records[seq-1:]
}

// Entries implements uplink.Journal.
func (j *journal) Entries(from record.Seq) iter.Seq2[[]byte, error] {
	records := j.from(from)
	return func(yield func([]byte, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Bounds implements uplink.Journal.
func (j *journal) Bounds() (first, next record.Seq) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return 1, record.Seq(len(j.records)) + 1
}

// Appended implements uplink.Journal.
func (j *journal) Appended() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.appended
}

// Acked implements uplink.Journal.
func (j *journal) Acked(_ record.Envelope, r record.Receipt) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r.Seq > record.Seq(len(j.records)) {
		return fmt.Errorf("a receipt for record %d of %d", r.Seq, len(j.records))
	}
	if r.Seq > j.acked {
		j.acked = r.Seq
		j.gap.acked()
	}
	return nil
}
