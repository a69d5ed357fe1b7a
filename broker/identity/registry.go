package identity

import (
	"context"
	"crypto/x509"
	"errors"
	"sync"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// trustFor is how long an entry is believed before the store is asked again. What this process changes is forgotten at once; what another broker on
// the same store changes takes this long.
const trustFor = time.Second

// maxEntries bounds the memory of the registry.
const maxEntries = 10_000

// Registry says, on each call, whether a certificate is still good.
type Registry struct {
	store *store.Store
	site  string
	now   func() time.Time

	mu      sync.Mutex // guards the rest
	entries map[string]entry
	forgot  uint64 // counts Forget: what was asked before it must not be kept after it
}

// entry is what the store said of one certificate.
type entry struct {
	subject wire.Subject
	verdict Verdict
	err     error
	asked   time.Time
}

// Verdict is what a certificate is good for.
type Verdict struct {
	State   taplinev1.StationState // of a station
	Newest  bool                   // a station's newest certificate or the one before, or the one of the copy that an administrator picked
	Station record.StationID       // empty for people
}

// NewRegistry asks the store.
func NewRegistry(s *store.Store, site string, now func() time.Time) *Registry {
	return &Registry{store: s, site: site, now: now, entries: map[string]entry{}}
}

// Forget makes the next call of a station ask the store.
func (r *Registry) Forget(station record.StationID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgot++
	for serial, e := range r.entries {
		if e.subject.Role == wire.RoleStation && e.subject.Name == string(station) {
			delete(r.entries, serial)
		}
	}
}

// Check says what the certificate of a caller is good for. A certificate that is not good for anything is an error that says why.
func (r *Registry) Check(ctx context.Context, who wire.Subject, cert *x509.Certificate) (Verdict, error) {
	if who.Site != r.site {
		return Verdict{}, wire.E(wire.Unauthenticated, "the certificate is for site %s, this is %s", who.Site, r.site)
	}
	now := r.now()
	if now.Before(cert.NotBefore) {
		return Verdict{}, wire.E(wire.Unauthenticated, "the certificate is not yet valid: from %s", cert.NotBefore.UTC().Format(time.RFC3339))
	}
	if now.After(cert.NotAfter) {
		return Verdict{}, wire.E(wire.Unauthenticated, "the certificate expired at %s", cert.NotAfter.UTC().Format(time.RFC3339))
	}
	serial := Serial(cert)
	r.mu.Lock()
	e, ok := r.entries[serial]
	asked := r.forgot
	r.mu.Unlock()
	if ok && e.subject == who && now.Sub(e.asked).Abs() < trustFor {
		return e.verdict, e.err
	}
	v, err := r.ask(ctx, who, serial)
	if wire.KindOf(err) == wire.Internal || wire.KindOf(err) == wire.Cancelled || wire.KindOf(err) == wire.Deadline {
		return v, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if asked != r.forgot { // the answer may be from before what Forget told of
		return v, err
	}
	if len(r.entries) >= maxEntries {
		clear(r.entries)
	}
	r.entries[serial] = entry{subject: who, verdict: v, err: err, asked: now}
	return v, err
}

func (r *Registry) ask(ctx context.Context, who wire.Subject, serial string) (v Verdict, err error) {
	err = r.store.View(ctx, func(tx *store.Tx) error {
		c, err := tx.Certificate(serial)
		if errors.Is(err, store.ErrNotFound) || err == nil && (c.Role != who.Role || c.Subject != who.Name) {
			return wire.E(wire.Unauthenticated, "the certificate is not one of ours")
		}
		if err != nil {
			return err
		}
		if who.Role != wire.RoleStation {
			if !c.RevokedAt.IsZero() {
				return wire.E(wire.Unauthenticated, "the certificate was revoked at %s", c.RevokedAt.Format(time.RFC3339))
			}
			return nil
		}
		v, err = stationVerdict(tx, record.StationID(who.Name), c)
		return err
	})
	return v, err
}

func stationVerdict(tx *store.Tx, id record.StationID, c store.Certificate) (Verdict, error) {
	s, err := knownStation(tx, id)
	if err != nil {
		return Verdict{}, err
	}
	if s.State == taplinev1.StationState_STATION_STATE_REVOKED {
		return Verdict{}, wire.E(wire.Denied, "station %s is revoked (%s)", id, s.StateReason)
	}
	if !c.RevokedAt.IsZero() {
		return Verdict{}, wire.E(wire.Unauthenticated, "the certificate was revoked at %s", c.RevokedAt.Format(time.RFC3339))
	}
	v := Verdict{State: s.State, Newest: c.Join+1 >= s.Join.Sequence, Station: id}
	if !v.Newest {
		standing, err := tx.Standing(id)
		if err != nil {
			return Verdict{}, err
		}
		v.Newest = c.Join == standing.Released // an administrator picked this copy, and it has not come for its next certificate yet
	}
	return v, nil
}
