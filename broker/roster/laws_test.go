package roster_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tapline/broker/directory"
	"tapline/broker/roster"
	"tapline/broker/store"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// history is a random life of a directory: sources list people, administrators give, lose, find and revoke badges and suspend people.
type history struct {
	*plant
	r      *rand.Rand
	told   []string                          // what was done, for a failure
	dead   map[string]bool                   // badges by ID that were revoked
	stolen map[string]bool                   // numbers that no source may bring back
	banned map[record.PersonID]bool          // suspended by an administrator
	before map[string]*taplinev1.PersonEntry // people of other sources before a listing
}

func (h *history) pick(of ...string) string { return of[h.r.IntN(len(of))] }

func (h *history) anybody() string { return h.pick("anna", "ben", "cleo", "dora", "emil", "fred") }

func (h *history) number() string { return h.pick("1", "2", "3", "4", "5") }

func (h *history) tell(format string, args ...any) {
	h.told = append(h.told, fmt.Sprintf(format, args...))
}

// listing is what a source says, at random.
func (h *history) listing() {
	l := csv()
	l.Source, l.Complete = h.pick(roster.CSV, roster.LDAP, roster.SCIM), h.r.IntN(3) > 0
	if h.r.IntN(4) == 0 {
		l.Fields &^= roster.Badges
	}
	for _, id := range []string{"anna", "ben", "cleo", "dora", "emil", "fred"} {
		switch h.r.IntN(4) {
		case 0, 1:
			var numbers []string
			for range h.r.IntN(3) {
				numbers = append(numbers, h.number())
			}
			p := h.person(id, numbers...)
			p.Entry.Suspended = h.r.IntN(6) == 0
			l.People = append(l.People, p)
			h.tell("%s lists %s %v", l.Source, id, numbers)
		case 2:
			l.Gone = append(l.Gone, record.PersonID(id))
		}
	}
	h.before = map[string]*taplinev1.PersonEntry{}
	h.must(h.store.View(h.Context(), func(tx *store.Tx) error {
		all, err := tx.EveryPerson()
		for _, p := range all {
			if p.GetSource() != l.Source {
				h.before[p.GetId()] = p
			}
		}
		return err
	}))
	h.apply(l, roster.Rules{Force: true})
	for id, p := range h.before {
		if now := h.entry(record.PersonID(id)); !proto.Equal(now, p) {
			h.Fatalf("%s changed %s, who is of %s", l.Source, id, p.GetSource())
		}
	}
	for number := range h.stolen {
		if s := h.standing(number); s != "badge_revoked" && s != "unknown_badge" {
			h.Fatalf("%s brought the stolen badge %s back: %s", l.Source, number, s)
		}
	}
}

// office is something that an administrator does, at random. What is refused is no fault.
func (h *history) office() {
	id, number := h.anybody(), h.number()
	b := h.person("x", number).Badges[0]
	what := h.pick("hire", "hand over", "give", "revoke", "lose", "find", "suspend", "let in", "time")
	h.tell("%s %s %s", what, id, number)
	err := h.store.Update(h.Context(), func(tx *store.Tx) error {
		have, err := tx.BadgeByLookup(b.Lookup)
		known := err == nil && !have.Revoked
		switch what {
		case "hire":
			if _, err := tx.Person(record.PersonID(id)); errors.Is(err, store.ErrNotFound) {
				_, err := tx.PutPerson(&taplinev1.PersonEntry{Id: id, DisplayName: id, Source: directory.Local})
				return err
			}
		case "give":
			if _, err := tx.Person(record.PersonID(id)); err != nil {
				return err
			}
			end := time.Time{}
			if h.r.IntN(3) == 0 {
				end = h.at.Add(time.Hour)
			}
			if err := directory.Give(tx, store.Badge{
				ID: fmt.Sprintf("b-%d", len(h.told)), Person: record.PersonID(id), Lookup: b.Lookup, Number: b.Sealed, AssignedAt: h.at, NotAfter: end,
			}, h.at); err != nil {
				return err
			}
			delete(h.stolen, number) // an administrator may
		case "revoke":
			if known {
				h.stolen[number] = true
				return tx.RevokeBadge(have.ID, "stolen")
			}
		case "lose", "find":
			if known {
				return tx.LoseBadge(have.ID, map[string]time.Time{"lose": h.at}[what])
			}
		case "suspend", "let in", "hand over":
			e, err := tx.Person(record.PersonID(id))
			if err != nil {
				return err
			}
			if what == "hand over" {
				e.Source = h.pick(directory.Local, roster.CSV, roster.LDAP, roster.SCIM)
			} else if e.Suspended = what == "suspend"; e.GetSuspended() && e.GetSuspendedBy() == "" || !e.GetSuspended() {
				h.banned[record.PersonID(id)] = e.GetSuspended()
			}
			if err := directory.Suspend(tx, e); err != nil {
				return err
			}
			_, err = tx.PutPerson(e)
			return err
		}
		return nil
	})
	if what == "time" {
		h.at = h.at.Add(45 * time.Minute)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) && !strings.Contains(err.Error(), "has it") {
		h.Fatal(err)
	}
	h.update(func(tx *store.Tx) error { return tx.Changed() })
}

// laws hold after every step.
func (h *history) laws() {
	h.must(h.store.View(h.Context(), func(tx *store.Tx) error {
		all, err := tx.Badges("", store.Page{Size: 10_000})
		if err != nil {
			return err
		}
		inForce := map[string]string{}
		for _, b := range all {
			if h.dead[b.ID] && !b.Revoked {
				h.Fatalf("the revoked badge %s is in force again", b.ID)
			}
			h.dead[b.ID] = b.Revoked
			if b.Revoked {
				continue
			}
			if other := inForce[string(b.Lookup)]; other != "" {
				h.Fatalf("the badges %s and %s have one number", b.ID, other)
			}
			inForce[string(b.Lookup)] = b.ID
		}
		for _, n := range []string{"1", "2", "3", "4", "5"} {
			holder, cause, err := h.directory.Holder(tx, h.person("x", n).Badges[0].Lookup, h.at)
			if err != nil {
				return err
			}
			if b := holder.Badge; cause == 0 && (b.Revoked || !b.LostAt.IsZero() || b.Ended(h.at) || holder.Person.GetSuspended() || holder.Person.GetId() != string(b.Person)) {
				h.Fatalf("number %s opens by the badge %+v of %v", n, b, holder.Person)
			}
		}
		people, err := tx.EveryPerson()
		for _, p := range people {
			if p.GetLeftAt() != nil && !p.GetSuspended() {
				h.Fatalf("%s has left and may work", p.GetId())
			}
			if h.banned[record.PersonID(p.GetId())] && !p.GetSuspended() {
				h.Fatalf("%s was suspended by an administrator and may work", p.GetId())
			}
		}
		return err
	}))
}

// The laws: a number opens at most for one active person; a revoked badge never opens again; a source reaches nobody else's people, brings back no stolen
// badge, and lifts no administrator's suspension.
func TestRandomHistoriesKeepTheLaws(t *testing.T) {
	histories := 12
	if s := os.Getenv("TAPLINE_SUITE"); s == "full" || s == "long" {
		histories = 60
	}
	for seed := range uint64(histories) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := &history{
				plant: newPlant(t), r: rand.New(rand.NewPCG(seed, 1)), dead: map[string]bool{}, stolen: map[string]bool{}, banned: map[record.PersonID]bool{},
			}
			defer func() {
				if t.Failed() {
					t.Logf("seed %d:\n%s", seed, strings.Join(h.told, "\n"))
				}
			}()
			for range 60 {
				h.at = h.at.Add(time.Second)
				if h.r.IntN(3) == 0 {
					h.listing()
				} else {
					h.office()
				}
				h.laws()
			}
		})
	}
}
