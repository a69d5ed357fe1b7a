package journal

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"tapline/agent/clock"
	"tapline/proto/ledger"
	"tapline/proto/record"
)

// Keys holds secrets by name across restarts. Get of a name that is not there returns an error; Put is durable when it returns nil and
// replaces; Delete of a name that is not there is no error.
type Keys interface {
	Get(name string) ([]byte, error)
	Put(name string, secret []byte) error
	Delete(name string) error
}

// Config is what a journal needs. All but Keep, Ledger and Log is required.
type Config struct {
	// Dir is the journal's directory; it is made if it is not there.
	Dir string
	// Statement is the broker's statement of the chain, and Evidence the key that signed it.
	Statement record.Envelope
	Evidence  record.PublicKey
	Keys      Keys
	Clock     *clock.Keeper
	// Keep is how many of the newest records stay here whatever the broker has; 0 is 100,000. Older ones leave, by whole files, once a
	// receipt that is on the disk covers them.
	Keep uint64
	// Ledger tunes the ledger under the journal.
	Ledger ledger.Options
	Log    *zap.Logger
}

// KeyName is the name under which the key store holds the private key of an epoch, as the 32 bytes of its Ed25519 seed.
func KeyName(epoch record.Epoch) string { return fmt.Sprintf("record-epoch-%d", epoch) }

// Journal is a station's journal. Its methods may be called from any goroutine.
type Journal struct {
	cfg       Config
	log       *zap.Logger
	statement record.StationStatement
	ledger    *ledger.Ledger
	wake      chan struct{} // holds one token when Run has something to do

	// Owned by the goroutine in Run.
	chain   *record.Chain
	key     ed25519.PrivateKey // of the chain's epoch
	retired []record.Epoch     // whose keys are still in the key store
	kept    []*request         // not yet written, oldest first
	trouble *trouble           // nil as long as the disk takes records
	pause   *backoff.ExponentialBackOff

	mu        sync.Mutex // guards the fields below
	queue     []*request
	writing   int // statements that Run has taken and not yet dealt with
	closed    bool
	head      record.Head
	receipt   record.Envelope
	acked     record.Receipt
	unsaved   bool       // receipt is newer than its file
	unsavable bool       // the last attempt to save it failed
	saved     record.Seq // what the receipt in the file covers
	degraded  string
	since     time.Time
}

// Statement is the broker's statement of the chain.
func (j *Journal) Statement() record.StationStatement { return j.statement }

// Close ends the journal: waiting writers are refused. Call it once Run has returned.
func (j *Journal) Close() error {
	j.mu.Lock()
	j.closed = true
	waiting := j.queue
	j.queue = nil
	j.mu.Unlock()
	for _, r := range waiting {
		r.answer(0, ErrClosed)
	}
	clear(j.key)
	return j.ledger.Close()
}

// Run signs and writes until ctx ends, then writes what still waits. It returns nil: a disk that fails is a degradation, never the end.
func (j *Journal) Run(ctx context.Context) error {
	check := time.NewTicker(time.Minute)
	defer check.Stop()
	save := time.NewTicker(time.Second)
	defer save.Stop()
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			j.turn()
			j.recover()
			j.saveReceipt()
			return nil
		case <-j.wake:
			j.turn()
		case <-retry.C:
			j.recover()
		case <-check.C:
			j.sealIfDue()
		case <-save.C:
			j.saveReceipt()
			j.trim()
			continue
		}
		if j.trouble != nil {
			retry.Reset(time.Until(j.trouble.retryAt))
		}
	}
}

// turn takes what waits and writes it, or keeps it while the disk does not take it.
func (j *Journal) turn() {
	batch := j.take()
	if len(batch) == 0 {
		return
	}
	defer j.dealt()
	if j.trouble != nil {
		j.keep(batch)
		return
	}
	if err := j.commit(batch, false); err != nil {
		j.degrade(err)
		j.keep(batch)
	}
}

func (j *Journal) take() []*request {
	j.mu.Lock()
	defer j.mu.Unlock()
	batch := j.queue
	j.queue, j.writing = nil, len(batch)
	return batch
}

func (j *Journal) dealt() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.writing = 0
}

func (j *Journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}
