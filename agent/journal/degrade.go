package journal

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"tapline/proto/ledger"
	"tapline/proto/record"
)

// The bounds of the pause between two attempts to write again.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 30 * time.Second
)

// trouble is a time in which the disk takes no records. Owned by Run.
type trouble struct {
	fault   string // as in record.Journal
	began   *request
	dropped uint64
	retryAt time.Time
}

func newPause() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = firstPause, lastPause
	return b
}

// degrade begins a degradation. Its record is stamped now and written when that is possible; on a full disk at once, from what was set aside.
func (j *Journal) degrade(cause error) {
	fault := faultOf(cause)
	j.trouble = &trouble{fault: fault, began: newRequest(record.Payload{
		Type: record.JournalDegraded, Time: j.cfg.Clock.Stamp(), Journal: &record.Journal{Fault: fault},
	})}
	j.log.Error("journal degraded: records are kept in memory", zap.String("fault", fault), zap.Error(cause))
	j.mu.Lock()
	j.degraded, j.since = fault, j.cfg.Clock.Wall()
	j.mu.Unlock()
	j.pause.Reset()
	j.trouble.retryAt = time.Now().Add(j.pause.NextBackOff())
	if fault == "full" && j.commit([]*request{j.trouble.began}, true) == nil {
		j.trouble.began = nil
	}
}

// faultOf is the word for what is wrong.
func faultOf(err error) string {
	switch {
	case errors.Is(err, ledger.ErrFull), errors.Is(err, syscall.ENOSPC): // the keys' disk is the journal's
		return "full"
	case errors.Is(err, syscall.EROFS):
		return "read-only"
	case errors.Is(err, errKeyStore):
		return "key-store"
	case errors.Is(err, fs.ErrPermission):
		return "read-only"
	}
	return "io"
}

// keep holds batch until the disk takes it, and tells the writers. An urgent record goes to the space set aside, if nothing before it is about
// the same session or emergency.
func (j *Journal) keep(batch []*request) {
	for _, r := range batch {
		if r.answered {
			continue
		}
		if j.trouble.fault == "full" && r.urgent() && !j.keepsSession(r) && j.commit([]*request{r}, true) == nil {
			continue
		}
		if len(j.kept) >= maxQueue {
			j.trouble.dropped++
			r.answer(0, ErrClosed)
			continue
		}
		j.kept = append(j.kept, r)
	}
	for _, r := range j.kept {
		r.answer(0, ErrDegraded)
	}
}

// keepsSession reports whether a kept record is about what r is about, or whether records were dropped, which must be said first.
func (j *Journal) keepsSession(r *request) bool {
	return j.trouble.began != nil || j.trouble.dropped > 0 ||
		slices.ContainsFunc(j.kept, func(k *request) bool { return k.about() == r.about() })
}

// about is the session or the emergency that a record tells of; empty for the station as a whole.
func (r *request) about() record.SessionID {
	if r.payload.Claim != nil {
		return r.payload.Claim.Emergency
	}
	return r.payload.Session
}

// recover tries to write what was kept, between the record of the degradation and one of the recovery.
func (j *Journal) recover() {
	if j.trouble == nil {
		return
	}
	err := j.writeKept()
	if err != nil {
		j.log.Warn("journal still degraded", zap.String("fault", j.trouble.fault), zap.Error(err))
		j.trouble.retryAt = time.Now().Add(j.pause.NextBackOff())
		return
	}
	j.log.Info("journal recovered", zap.String("fault", j.trouble.fault), zap.Uint64("dropped", j.trouble.dropped))
	j.trouble = nil
	j.mu.Lock()
	j.degraded, j.since = "", time.Time{}
	j.mu.Unlock()
	j.signal()
}

func (j *Journal) writeKept() error {
	if _, err := j.ledger.Reopen(); err != nil {
		return err
	}
	if j.trouble.began != nil {
		if err := j.commit([]*request{j.trouble.began}, true); err != nil {
			return err
		}
		j.trouble.began = nil
	}
	for len(j.kept) > 0 {
		n := min(len(j.kept), maxBatch)
		if err := j.commit(j.kept[:n], false); err != nil {
			return err
		}
		j.kept = j.kept[n:]
	}
	done := newRequest(record.Payload{
		Type: record.JournalRecovered, Time: j.cfg.Clock.Stamp(),
		Journal: &record.Journal{Fault: j.trouble.fault, Dropped: j.trouble.dropped},
	})
	return j.commit([]*request{done}, false)
}
