package roster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"tapline/broker/acts"
	"tapline/broker/lease"
	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Writer takes listings over. It is safe for concurrent use.
type Writer struct {
	office.Office
	// Changed is called after something changed that a bundle may depend on.
	Changed func()
}

// attempts is how often a listing is compared before it is compared while everybody else waits.
const attempts = 3

// errStale says that the directory changed between comparing and writing.
var errStale = errors.New("the directory changed meanwhile")

// Apply compares a listing with the directory and takes it over. On an error nothing was changed; the outcome then says what would have. Errors: *BrakeError;
// of kind Invalid for a source that is none, or with Rules.Strict for conflicts.
func (w Writer) Apply(ctx context.Context, l Listing, r Rules) (Outcome, error) {
	if l.Source != CSV && l.Source != LDAP && l.Source != SCIM {
		return Outcome{}, wire.E(wire.Invalid, "source: %q is none of csv, ldap, scim", l.Source)
	}
	for try := 1; ; try++ {
		// Comparing thousands of people takes a while, so it is done while others may write, and again if they did.
		var p *plan
		var generation uint64
		err := w.Store.View(ctx, func(tx *store.Tx) (err error) {
			if generation, err = tx.Generation(); err != nil {
				return err
			}
			p, err = w.compare(tx, l, r)
			return err
		})
		if err != nil {
			return Outcome{}, office.Translate(err)
		}
		if err := p.stopped(r); err != nil || r.DryRun || p.empty() && !r.Always {
			return p.Outcome, err
		}
		err = w.Store.Update(ctx, func(tx *store.Tx) error {
			now, err := tx.Generation()
			if err != nil {
				return err
			}
			if now != generation && try < attempts {
				return errStale
			}
			if now != generation {
				if p, err = w.compare(tx, l, r); err != nil {
					return err
				}
				if err := p.stopped(r); err != nil {
					return err
				}
			}
			if err := w.write(tx, p, l, r, office.Caller(ctx), office.Role(ctx)); err != nil || r.Also == nil {
				return err
			}
			return r.Also(tx)
		})
		if errors.Is(err, errStale) {
			continue
		}
		if err != nil {
			return p.Outcome, office.Translate(err)
		}
		if !p.empty() {
			w.Changed()
		}
		return p.Outcome, nil
	}
}

// stopped says why a plan is not carried out.
func (p *plan) stopped(r Rules) error {
	switch {
	case r.DryRun:
		return nil
	case r.Strict && len(p.Conflicts) > 0:
		return wire.E(wire.Invalid, "%d conflicts, the first: %s", len(p.Conflicts), p.Conflicts[0])
	case p.Held != "" && !r.Force && (r.Accept == nil || !r.Accept(p.Changes)):
		return wire.E(wire.Precondition, "%w", &BrakeError{Why: p.Held})
	}
	return nil
}

// write carries a plan out. Badges are taken before they are given, because a number may go from one person to another.
func (w Writer) write(tx *store.Tx, p *plan, l Listing, r Rules, caller string, role wire.Role) error {
	now, actor := w.Now(), cmp.Or(r.Actor, caller)
	if r.Actor != "" {
		role = "" // a source acts by itself, whoever set it going
	}
	for _, s := range p.steps {
		if s.entry != nil {
			if _, err := tx.PutPerson(s.entry); err != nil {
				return err
			}
		}
		for _, b := range s.revoke {
			if err := tx.RevokeBadge(b.id, b.reason); err != nil {
				return err
			}
		}
		if s.end {
			if err := lease.Revoke(tx, s.Person, now); err != nil {
				return err
			}
		}
	}
	for _, s := range p.steps {
		if err := w.writeBadges(tx, s); err != nil {
			return err
		}
		if err := w.Acts.Write(tx, acts.Act{Method: "Directory." + string(s.Kind), Actor: actor, Role: string(role), Target: string(s.Person), Digest: digest(l.Source, s.Change)}); err != nil {
			return err
		}
	}
	err := w.Acts.Write(tx, acts.Act{Method: cmp.Or(r.Method, "Directory"), Actor: actor, Role: string(role), Target: l.Source, Digest: digest(l.Source, p.Changes)})
	if err != nil || p.empty() {
		return err
	}
	return tx.Changed()
}

func (w Writer) writeBadges(tx *store.Tx, s step) error {
	for _, b := range s.add {
		if err := tx.AddBadge(b); err != nil {
			return fmt.Errorf("badge of %s: %w", s.Person, err)
		}
	}
	for _, b := range s.describe {
		if err := tx.DescribeBadge(b.ID, b.Label, b.NotAfter); err != nil {
			return err
		}
	}
	return nil
}

// digest is over what changed, in words that hold neither names nor numbers.
func digest(source string, changes any) record.Hash {
	b, err := json.Marshal([]any{source, changes})
	if err != nil {
		panic(err) // strings only
	}
	return sha256.Sum256(b)
}
