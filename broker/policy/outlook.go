package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/cedar-policy/cedar-go"
	"google.golang.org/protobuf/proto"

	"tapline/proto/grant"
)

// Forecaster works out what a set answers in the future, for people at one station who decide alone. It is for one goroutine.
type Forecaster struct {
	set      *Set
	Answers  []grant.Answer
	Outlooks []grant.Outlook
	answers  map[string]int // by what they say
	outlooks map[string]int // by what they say
	known    map[string]grant.Phase
	approved map[string]int
}

// NewForecaster makes a forecaster of a set.
func NewForecaster(s *Set) *Forecaster {
	return &Forecaster{set: s, answers: map[string]int{}, outlooks: map[string]int{}, known: map[string]grant.Phase{}, approved: map[string]int{}}
}

// Exact reports whether what the set will answer can be told in advance. If not, it has to be asked each time.
func (s *Set) Exact() bool { return s.exact }

// Phase works out the outlook of a request with the certifications that are valid at a time: what openSession and workOffline are answered, under each
// circumstance that a station can tell, at each minute of the week. The request says who and where; its tap is not looked at.
func (f *Forecaster) Phase(r Request, certified time.Time) grant.Phase {
	r.Tap = Tap{Offline: true, At: certified}
	key := f.key(r, certified)
	if p, ok := f.known[key]; ok {
		return p
	}
	world := r.entities(certified)
	p := grant.Phase{Outlook: f.outlook(r, world), Essential: f.essential(r, world)}
	f.known[key] = p
	return p
}

// AsksApprover reports whether any rule looks at a second person.
func (s *Set) AsksApprover() bool { return s.asks["approved"] || s.asks["approver"] }

// Approved works out the outlook of the same request when somebody approves whose certifications do not lapse meanwhile, and gives its index.
func (f *Forecaster) Approved(r Request, certified time.Time, by *taplinev1.PersonEntry) int {
	key := f.key(r, certified) + " by " + f.ApproverKey(by, certified)
	if i, ok := f.approved[key]; ok {
		return i
	}
	if !f.set.personal { // it stands for others, who are never the person who is approved
		by = proto.CloneOf(by)
		by.Id = "\x00approver"
	}
	r.Tap = Tap{Offline: true, At: certified, Approved: true, Approver: by}
	f.approved[key] = f.outlook(r, r.entities(certified))
	return f.approved[key]
}

// ApproverKey is what distinguishes people who approve in the eyes of the set.
func (f *Forecaster) ApproverKey(p *taplinev1.PersonEntry, certified time.Time) string {
	return f.key(Request{Person: p}, certified)
}

// key is what distinguishes people in the eyes of the set.
func (f *Forecaster) key(r Request, certified time.Time) string {
	p := r.Person
	id := ""
	if f.set.personal {
		id = p.GetId()
	}
	return fmt.Sprintf("%q %q %q %q %d %t", id, p.GetRoles(), p.GetShifts(), ValidCertifications(p, certified), p.GetSeniority(), p.GetSuspended())
}

func (f *Forecaster) outlook(r Request, world cedar.EntityMap) int {
	var o grant.Outlook
	asked := map[int][]int{}
	for _, minute := range slices.Compact(append([]int{0}, f.set.moments...)) {
		like := minute
		if !f.set.Asks("minuteOfWeek") {
			like %= minutesOfDay // one day is as the other
		}
		cells, ok := asked[like]
		if !ok {
			cells = f.cells(r, world, minute)
			asked[like] = cells
		}
		if len(o) == 0 || !slices.Equal(o[len(o)-1].Cells, cells) {
			o = append(o, grant.Slot{From: minute, Cells: cells})
		}
	}
	key := fmt.Sprint(o)
	if i, ok := f.outlooks[key]; ok {
		return i
	}
	f.outlooks[key] = len(f.Outlooks)
	f.Outlooks = append(f.Outlooks, o)
	return f.outlooks[key]
}

// cells asks under each circumstance that the set looks at; under the others the answer is the same.
func (f *Forecaster) cells(r Request, world cedar.EntityMap, minute int) []int {
	r.Action = OpenSession
	cells := make([]int, grant.Cells)
	for i := range cells {
		c := f.set.seen(grant.CircumstancesOf(i))
		if same := c.Cell(); same != i {
			cells[i] = cells[same] // it was asked before: what is not looked at counts as zero
			continue
		}
		r.Tap.Assurance, r.Tap.PIN, r.Tap.PINFresh, r.Tap.OffShift = taplinev1.Assurance(c.Assurance), c.PIN, c.Fresh, c.OffShift
		cells[i] = f.answer(f.set.decide(r, clock{minute, c.Due}, world))
	}
	if len(slices.Compact(slices.Clone(cells))) == 1 {
		return cells[:1]
	}
	return cells
}

// seen is the circumstances with those left out that no rule looks at.
func (s *Set) seen(c grant.Circumstances) grant.Circumstances {
	if !s.Asks("assurance") {
		c.Assurance = 0
	}
	c.PIN = c.PIN && s.Asks("pin")
	c.Fresh = c.Fresh && s.Asks("pinFresh")
	c.Due = c.Due && s.Asks("pinDue")
	c.OffShift = c.OffShift && s.Asks("inShift")
	return c
}

// answer numbers a decision.
func (f *Forecaster) answer(d Decision) int {
	a := grant.Answer{Refusal: RefusalWord(d.Refusal), Rules: d.Rules}
	if len(d.Errors) > 0 {
		a.Rules = nil
	}
	key := a.Refusal + " " + strings.Join(a.Rules, " ")
	if i, ok := f.answers[key]; ok {
		return i
	}
	f.answers[key] = len(f.Answers)
	f.Answers = append(f.Answers, a)
	return f.answers[key]
}

// essential asks whether somebody may work when the broker has been away for days. They will have to give a PIN.
func (f *Forecaster) essential(r Request, world cedar.EntityMap) bool {
	r.Action, r.Tap.Assurance, r.Tap.PIN = WorkOffline, taplinev1.Assurance_ASSURANCE_PUBLIC_KEY_PROOF, true
	return f.set.decide(r, clock{minute: MinuteOfWeek(r.Tap.At)}, world).Allowed
}
