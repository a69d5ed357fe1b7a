package offlinelaw

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"tapline/agent/offline"
	"tapline/broker/store"
	"tapline/proto/grant"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// tiers are the ages up to which the world's bundles let everybody and essential roles work.
func (w *world) tiers() (everybody, essential time.Duration) {
	if o := w.zone.GetOffline(); o != nil {
		return o.GetEverybody().AsDuration(), o.GetEssential().AsDuration()
	}
	t := grant.DefaultTiers()
	return time.Duration(t[0].UntilSeconds) * time.Second, time.Duration(t[1].UntilSeconds) * time.Second
}

// wasHere leaves a trace of somebody at the station: a PIN, a session that ended.
func (w *world) wasHere() {
	w.Helper()
	person := record.PersonID(fmt.Sprintf("p-%d", w.rnd.IntN(w.people)))
	ago := w.at.Add(-time.Duration(w.rnd.IntN(600)) * time.Minute)
	id := uuid.Must(uuid.NewV7()).String()
	w.must(w.maker.Store.Update(w.Context(), func(tx *store.Tx) error {
		fence, err := tx.NextFence("x")
		return errors.Join(err,
			tx.AddTap(store.Tap{Session: record.SessionID(id), Station: press, Person: person, At: ago, PIN: w.yes(), Facts: []byte("{}")}),
			tx.AddLease(store.Lease{
				ID: id, Scope: "x", Fence: fence, Session: record.SessionID(id), Station: press, Person: person, OpenedAt: ago, ExpiresAt: ago.Add(time.Hour),
			}),
			tx.EndLease(id, "tap-out", ago.Add(time.Minute)))
	}))
}

func TestAStationAloneDecidesAsTheBrokerWould(t *testing.T) {
	taps, allowed, past, seconds := 0, 0, 0, 0
	for seed := range rounds(5, 12) {
		w := newWorld(t, uint64(seed))
		everybody, essential := w.tiers()
		issued := w.fetch().IssuedAt
		for range 300 {
			w.at = issued.Add(time.Duration(w.rnd.Int64N(int64(essential + 48*time.Hour))))
			if everybody > 0 && w.rnd.IntN(3) > 0 {
				w.at = issued.Add(time.Duration(w.rnd.Int64N(int64(everybody))))
			}
			if w.rnd.IntN(8) == 0 {
				w.wasHere()
			}
			badge, assurance, pin := w.rnd.IntN(w.people+1), taplinev1.Assurance(w.rnd.IntN(5)), w.yes()
			second := nobody
			if w.yes() {
				second = w.rnd.IntN(w.people + 1)
			}
			o := w.ask(badge, second, assurance, pin)
			v := w.alone(badge, second, o, assurance, pin)
			if v.Second.ID != "" {
				seconds++
			}
			o = w.whoCounts(v, o, badge, assurance, pin)
			taps++
			if v.Allowed {
				allowed++
			}
			if age := w.at.Sub(issued); age >= everybody {
				past++
				w.pastTheFirstTier(v, o, age < essential, pin)
				continue
			}
			if d := cmp.Diff(o.refusal, string(v.Refusal)); d != "" || v.Allowed != (o.refusal == "") {
				t.Fatalf("world %d, %s, badge %d, assurance %d, PIN %t: %s\n%s", seed, w.at, badge, assurance, pin, d, w.set.Text())
			}
			if d := cmp.Diff(o.rules, v.Decision.Rules, cmpopts.EquateEmpty()); d != "" || v.Decision.Policy != w.set.Version() {
				t.Fatalf("world %d, %s, badge %d: policy %s, rules %s", seed, w.at, badge, v.Decision.Policy, d)
			}
			w.endsNoLater(v, o)
		}
	}
	if seconds < taps/20 || allowed < taps/20 || past < taps/20 || allowed > taps*19/20 {
		t.Errorf("of %d taps %d were allowed, %d came late, %d with a second person: that shows nothing", taps, allowed, past, seconds)
	}
}

// whoCounts holds that nobody counts at the station as a second person who does not at the broker. Whose approval the bundle does not know does not count there.
func (w *world) whoCounts(v offline.Verdict, o online, badge int, assurance taplinev1.Assurance, pin bool) online {
	w.Helper()
	by := o.known.Tap.Approver
	switch {
	case v.Second.ID != "" && string(v.Second.ID) != by.GetId():
		w.Fatalf("%s: %s counts as the second person, at the broker %q", w.at, v.Second.ID, by.GetId())
	case v.Second.ID == "" && by != nil:
		return w.ask(badge, nobody, assurance, pin)
	}
	return o
}

// pastTheFirstTier holds that only essential roles are let in, with a PIN, and nobody whom the broker would refuse.
func (w *world) pastTheFirstTier(v offline.Verdict, o online, tier, pin bool) {
	w.Helper()
	if v.Allowed && (!tier || !pin || o.refusal != "") {
		w.Fatalf("%s: let in (within the tier: %t, PIN: %t), the broker says %q", w.at, tier, pin, o.refusal)
	}
	if !v.Allowed && v.Refusal == "" {
		w.Fatalf("%s: refused for no reason", w.at)
	}
}

// endsNoLater holds that a session that begins alone ends with shift and zone as it would under the broker.
func (w *world) endsNoLater(v offline.Verdict, o online) {
	w.Helper()
	ends := o.known.Terms(w.at).GetEndsAt()
	if !v.Allowed || ends == nil {
		return
	}
	if v.EndsAt.IsZero() || v.EndsAt.After(ends.AsTime()) {
		w.Fatalf("%s: it ends %s, under the broker %s", w.at, v.EndsAt, ends.AsTime())
	}
}

// TestARevokedBadgeIsNotTakenPastTheTiersAge goes through random histories: the station hears of the broker now and then, badges are revoked, somebody puts
// old bundles back.
func TestARevokedBadgeIsNotTakenPastTheTiersAge(t *testing.T) {
	taken, late := 0, 0
	for seed := range rounds(4, 10) {
		w := newWorld(t, uint64(1000+seed))
		everybody, essential := w.tiers()
		revoked := map[int]time.Time{}
		var old [][]byte
		fetched := w.at
		old = append(old, w.fetch().Envelope)
		for range 150 {
			w.at = w.at.Add(time.Duration(w.rnd.Int64N(int64(12 * time.Hour))))
			switch w.rnd.IntN(12) {
			case 0:
				old, fetched = append(old, w.fetch().Envelope), w.at
			case 1:
				i := w.rnd.IntN(w.people)
				if _, already := revoked[i]; !already {
					w.update(func(tx *store.Tx) error { return tx.RevokeBadge(fmt.Sprintf("b-p-%d", i), "lost") })
					revoked[i] = w.at
				}
			case 2:
				_ = w.keeper.Take(old[w.rnd.IntN(len(old))]) // put back
			}
			badge := w.rnd.IntN(w.people)
			v := w.keeper.Decide(offline.Ask{Badge: grant.Ref(w.key, number(badge)), Assurance: 4, PIN: w.yes(), Past: offline.Past{PINAt: w.at, LastHere: w.at}}, w.at)
			since, gone := revoked[badge]
			if !v.Allowed || !gone {
				continue
			}
			taken++
			limit := essential
			if v.Decision.Tier == string(grant.TierAll) {
				limit = everybody
			}
			if age := w.at.Sub(since); age >= limit {
				t.Fatalf("world %d: taken %s after it was revoked, limit %s", seed, age, limit)
			}
			if fetched.After(since) {
				t.Fatalf("world %d: taken although the station has heard of it", seed)
			}
			late++
		}
	}
	if taken == 0 || late == 0 {
		t.Error("no revoked badge was ever taken: the histories show nothing")
	}
}
