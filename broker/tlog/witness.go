package tlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"tapline/broker/alarm"
	"tapline/broker/store"
	"tapline/proto/checkpoint"
	"tapline/proto/witness"
)

// Witness is somebody outside who cosigns checkpoints.
type Witness struct {
	Key checkpoint.Key
	URL string // submission prefix, without the path of the call
}

const (
	// cosignEvery is how often a witness is asked at most.
	cosignEvery = 5 * time.Second
	// cosignAgain is how long one that did not answer is left alone at most.
	cosignAgain = 5 * time.Minute
	// answerLimit is how long a witness may take.
	answerLimit = 10 * time.Second
)

// RunWitnesses asks every witness for its cosignature of the newest checkpoint until ctx ends, while this broker leads. Nothing waits for them: a
// checkpoint is published before it is cosigned.
func (l *Log) RunWitnesses(ctx context.Context) error {
	var g errgroup.Group
	for _, w := range l.Witnesses {
		g.Go(func() error {
			l.ask(ctx, w)
			return nil
		})
	}
	return g.Wait()
}

// ask asks one witness, and leaves it alone the longer the more often it failed.
func (l *Log) ask(ctx context.Context, w Witness) {
	wait := cosignEvery
	for {
		l.mu.Lock()
		grown := l.grown
		l.mu.Unlock()
		asked, err := l.Cosign(ctx, w)
		l.noteWitness(w, func(s *WitnessState) { s.judge(err, l.Now()) })
		if err != nil && ctx.Err() == nil {
			l.Log.Warn("a witness did not cosign", zap.String("witness", w.Key.Name()), zap.Error(err))
			wait = min(2*wait, cosignAgain)
		} else {
			wait = cosignEvery
		}
		pause := time.NewTimer(wait)
		if !asked && err == nil {
			pause.Reset(0)
		}
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		if err != nil {
			continue
		}
		select { // nothing to ask for until there is a newer checkpoint
		case <-ctx.Done():
			return
		case <-grown:
		}
	}
}

// errForked is a witness that has seen another history.
var errForked = errors.New("the witness has seen another history of the log")

// Cosign asks a witness to cosign the newest checkpoint, if this broker leads and the witness has not done so. asked says whether it came to that.
func (l *Log) Cosign(ctx context.Context, w Witness) (asked bool, err error) {
	var head store.LogHead
	var last uint64
	err = l.Store.View(ctx, func(tx *store.Tx) error {
		leader, err := tx.Leader()
		if err != nil || leader.Holder != l.Holder {
			return errors.Join(err, errLed)
		}
		if head, err = tx.Published(0); err != nil {
			return err
		}
		c, err := tx.LastCosignature(w.Key.String())
		last = c.Size
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		return err
	})
	if errors.Is(err, errLed) || errors.Is(err, store.ErrNotFound) || err == nil && last == head.Size {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	lines, seen, err := l.submit(ctx, w, last, head)
	if err == nil && lines == nil && seen <= head.Size { // it has seen more, or less, than we know
		lines, seen, err = l.submit(ctx, w, seen, head)
	}
	if err == nil && lines == nil {
		return true, l.ahead(ctx, w, seen)
	}
	if errors.Is(err, errForked) {
		return true, l.accuse(ctx, w, err)
	}
	if err != nil {
		return true, err
	}
	return true, l.keep(ctx, w, head, lines)
}

// accuse raises the alarm for what a witness says.
func (l *Log) accuse(ctx context.Context, w Witness, err error) error {
	return errors.Join(err, l.Store.Update(ctx, func(tx *store.Tx) error {
		return alarm.Raise(tx, alarm.LogFork, "", l.Now(), "witness %s: %v", w.Key.Name(), err)
	}))
}

// ahead judges a witness that has seen more records than were just published: either another broker told it, or the store was put back.
func (l *Log) ahead(ctx context.Context, w Witness, seen uint64) error {
	var size uint64
	err := l.Store.View(ctx, func(tx *store.Tx) (err error) {
		size, err = PublishedSize(tx)
		return err
	})
	if err != nil || size >= seen {
		return err
	}
	return l.accuse(ctx, w, fmt.Errorf("%w: %d records, and ours has %d", errForked, seen, size))
}

// keep keeps a witness's cosignature, if it is one.
func (l *Log) keep(ctx context.Context, w Witness, head store.LogHead, lines []byte) error {
	c, err := checkpoint.Read(head.Checkpoint)
	if err != nil {
		return err
	}
	found, err := checkpoint.Cosignatures(c, lines, w.Key)
	if err != nil || len(found) == 0 {
		return fmt.Errorf("the answer holds no cosignature of %s: %w", w.Key.Name(), err)
	}
	err = l.Store.Update(ctx, func(tx *store.Tx) error {
		return tx.AddCosignature(store.Cosigned{Size: head.Size, Witness: w.Key.String(), Line: string(found[0].Line), At: found[0].At})
	})
	if err == nil {
		l.noteWitness(w, func(s *WitnessState) { s.Size, s.At = head.Size, found[0].At })
	}
	return err
}

// WitnessState is how this broker stands with a witness.
type WitnessState struct {
	Name   string
	Size   uint64    // of the newest checkpoint that it cosigned for this broker
	At     time.Time // when it did
	Fault  string    // why it does not; empty if it does
	Failed time.Time // since when it does not
}

func (s *WitnessState) judge(err error, now time.Time) {
	switch {
	case err == nil:
		s.Fault, s.Failed = "", time.Time{}
	case s.Fault == "":
		s.Fault, s.Failed = err.Error(), now
	default:
		s.Fault = err.Error()
	}
}

// noteWitness changes what is known of a witness.
func (l *Log) noteWitness(w Witness, change func(*WitnessState)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.witnesses[w.Key.String()]
	s.Name = w.Key.Name()
	change(&s)
	l.witnesses[w.Key.String()] = s
}

// WitnessStates is how this broker stands with each witness, in the order of the configuration.
func (l *Log) WitnessStates() []WitnessState {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []WitnessState
	for _, w := range l.Witnesses {
		s := l.witnesses[w.Key.String()]
		s.Name = w.Key.Name()
		all = append(all, s)
	}
	return all
}

// submit sends a checkpoint. Without an error and without lines the witness has seen the log up to another size.
func (l *Log) submit(ctx context.Context, w Witness, old uint64, head store.LogHead) (lines []byte, seen uint64, err error) {
	path, err := l.Reader(ctx).ProveConsistency(old, head.Size)
	if err != nil {
		return nil, 0, err
	}
	body := checkpoint.Extension{Old: old, Path: path, Checkpoint: head.Checkpoint}.Text()
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(w.URL, "/")+witness.Path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(r.Body, checkpoint.MaxSigned))
	if err != nil {
		return nil, 0, err
	}
	switch {
	case r.StatusCode == http.StatusOK && len(answer) > 0:
		return answer, 0, nil
	case r.StatusCode == http.StatusConflict && r.Header.Get("Content-Type") == witness.SizeType:
		seen, err := strconv.ParseUint(strings.TrimSuffix(string(answer), "\n"), 10, 62)
		if err != nil {
			return nil, 0, fmt.Errorf("the answer is no size: %w", err)
		}
		if seen == old {
			return nil, 0, fmt.Errorf("%w: at size %d", errForked, seen)
		}
		return nil, seen, nil
	case r.StatusCode == http.StatusUnprocessableEntity:
		return nil, 0, fmt.Errorf("%w: it refuses the proof from size %d to %d", errForked, old, head.Size)
	}
	return nil, 0, fmt.Errorf("answer %s: %.200q", r.Status, answer)
}

// AwaitCosigned waits until all witnesses have cosigned a checkpoint of at least a size, or ctx ends; it says whether. It does not wait for a witness
// that does not answer.
func (l *Log) AwaitCosigned(ctx context.Context, size uint64) bool {
	tick := time.NewTicker(Every / 10)
	defer tick.Stop()
	for {
		for _, w := range l.WitnessStates() {
			if w.Fault != "" {
				return false
			}
		}
		var have uint64
		err := l.Store.View(ctx, func(tx *store.Tx) error {
			h, err := tx.Published(len(l.Witnesses))
			have = h.Size
			return err
		})
		if err == nil && have >= size {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}
