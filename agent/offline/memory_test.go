package offline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapline/proto/grant"
	"tapline/proto/record"
)

func remembers(t *testing.T, dir string, now *time.Time) *Memory {
	t.Helper()
	m, err := OpenMemory(MemoryConfig{Dir: dir, Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// over ends a run, which writes what is left.
func over(t *testing.T, m *Memory) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := m.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestAStationRemembersWhoWasHere(t *testing.T) {
	dir, now := t.TempDir(), issued
	m := remembers(t, dir, &now)
	m.Note(record.Payload{Type: record.SessionOpened, Person: "anna", Badge: &record.Badge{Factors: []string{"badge", "pin"}}})
	now = now.Add(time.Hour)
	m.Note(record.Payload{Type: record.SessionHandedOver, Person: "ben", From: &record.From{Person: "anna"}, Badge: &record.Badge{Factors: []string{"badge"}}})
	now = now.Add(time.Hour)
	m.Note(record.Payload{Type: record.SessionClosed, Person: "ben", Reason: "agent-died"})
	m.Note(record.Payload{Type: record.TapRefused, Person: "cleo", Reason: "pin-wrong"})
	over(t, m)
	m = remembers(t, dir, &now)
	for person, want := range map[record.PersonID]Past{
		"anna": {LastHere: issued.Add(time.Hour), PINAt: issued}, "ben": {LastHere: issued.Add(time.Hour)}, "cleo": {},
	} {
		if got := m.Of(person); got != want {
			t.Errorf("%s: %+v, want %+v", person, got, want)
		}
	}
}

func TestAMemoryIsBounded(t *testing.T) {
	dir, now := t.TempDir(), issued
	m := remembers(t, dir, &now)
	m.Note(record.Payload{Type: record.SessionClosed, Person: "gone", Reason: "idle"})
	now = now.Add(remember + time.Hour)
	for i := range mostPeople + 10 {
		now = now.Add(time.Second)
		m.Note(record.Payload{Type: record.SessionClosed, Person: record.PersonID(fmt.Sprint(i)), Reason: "idle"})
	}
	over(t, m)
	m = remembers(t, dir, &now)
	if n := len(m.people); n != mostPeople {
		t.Errorf("remembers %d people", n)
	}
	if m.Of("gone") != (Past{}) || m.Of("5") != (Past{}) || m.Of("10") == (Past{}) {
		t.Error("the wrong ones were forgotten")
	}
}

func TestAMemoryThatCannotBeReadIsNone(t *testing.T) {
	dir, now := t.TempDir(), issued
	if err := os.WriteFile(filepath.Join(dir, memoryName), []byte("[1]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if m := remembers(t, dir, &now); len(m.people) != 0 {
		t.Errorf("remembers %v", m.people)
	}
}

// asksFor is a bundle's rule and a grant that says pin-needed when one is due.
func asksFor(b *grant.Bundle) {
	b.PIN = grant.PINRule{FirstOfShift: true, AfterIdleSeconds: 3600, WeakBelow: 1}
	b.Answers = []grant.Answer{{}, {Refusal: "pin-needed"}}
	cells := make([]int, grant.Cells)
	for i := range cells {
		if c := grant.CircumstancesOf(i); c.Due && !c.PIN {
			cells[i] = 1
		}
	}
	b.Outlooks = []grant.Outlook{{{Cells: cells}}}
	b.Shifts = map[string][]grant.Period{
		"early": {{From: issued, Until: issued.Add(8 * time.Hour)}, {From: issued.Add(24 * time.Hour), Until: issued.Add(32 * time.Hour)}},
	}
	b.Grants = []grant.Grant{{Badge: "anna", Person: grant.Person{ID: "p-anna"}, Shifts: []string{"early"}, Phases: []grant.Phase{{}}}}
}

func TestWhenAStationAloneAsksForAPIN(t *testing.T) {
	k := open(t, t.TempDir())
	if err := k.Take(bundleWith(t, 1, asksFor)); err != nil {
		t.Fatal(err)
	}
	at := func(hours float64) time.Time { return issued.Add(time.Duration(hours * float64(time.Hour))) }
	for _, row := range []struct {
		name      string
		past      Past
		assurance uint8
		now       time.Time
		want      record.Reason
	}{
		{"never here", Past{}, 1, at(1), pinNeeded},
		{"earlier in this shift", Past{at(1.5), at(1)}, 1, at(2), ""},
		{"earlier in this shift, with a bare number", Past{at(1.5), at(1)}, 0, at(2), pinNeeded},
		{"earlier in this shift, and away for hours", Past{at(1.5), at(1)}, 1, at(4), pinNeeded},
		{"in yesterday's shift", Past{at(24), at(7)}, 1, at(24.5), pinNeeded},
		{"today's again", Past{at(25), at(24.2)}, 1, at(25.5), ""},
		{"tomorrow, says a clock that was set back since", Past{at(30), at(30)}, 1, at(25), pinNeeded},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := k.Decide(Ask{Badge: "anna", Assurance: row.assurance, Past: row.past}, row.now)
			if v.Refusal != row.want {
				t.Errorf("says %q, want %q", v.Refusal, row.want)
			}
			if v := k.Decide(Ask{Badge: "anna", Assurance: row.assurance, Past: row.past, PIN: true}, row.now); !v.Allowed {
				t.Errorf("with a PIN: %q", v.Refusal)
			}
		})
	}
}
