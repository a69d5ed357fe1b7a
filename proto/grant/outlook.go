package grant

import (
	"fmt"
	"slices"
	"time"
)

// Period is a piece of time; its end is not part of it.
type Period struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// Answer is what the policy said: by which rules, and why not.
type Answer struct {
	Refusal string   `json:"refusal,omitempty"` // name of the RefusalCause; empty for a permission
	Rules   []string `json:"rules,omitempty"`
}

// Circumstances are what a station that decides alone can tell of a tap beside who it is and the time.
type Circumstances struct {
	Assurance uint8 // 0 to 4
	PIN       bool  // a good one was given with the tap
	Fresh     bool  // a good one was given at this station in this shift
	Due       bool  // the bundle's rule asks for one
	OffShift  bool
}

// Cells is how many circumstances there are.
const Cells = (maxAssurance + 1) << 4

const maxAssurance = 4

// Cell numbers the circumstances from 0 to Cells-1. An assurance that is not known counts as the weakest.
func (c Circumstances) Cell() int {
	n := int(c.Assurance)
	if n > maxAssurance {
		n = 0
	}
	for _, flag := range []bool{c.PIN, c.Fresh, c.Due, c.OffShift} {
		n <<= 1
		if flag {
			n |= 1
		}
	}
	return n
}

// CircumstancesOf are those with a number.
func CircumstancesOf(cell int) Circumstances {
	flag := func(bit int) bool { return cell>>bit&1 == 1 }
	return Circumstances{Assurance: uint8(cell >> 4), PIN: flag(3), Fresh: flag(2), Due: flag(1), OffShift: flag(0)}
}

// Outlook is what the policy answers under all circumstances, for each time of the week at which it looks at the clock.
type Outlook []Slot

// Slot holds from a minute of the week, counted from Monday 00:00 UTC, to the next slot. The first begins with the week.
type Slot struct {
	From  int   `json:"from"`
	Cells []int `json:"cells"` // indexes into the bundle's answers, by the number of the circumstances; a single one holds for all
}

const minutesOfWeek = 7 * 24 * 60

// MinuteOfWeek is the minutes since Monday 00:00 UTC.
func MinuteOfWeek(at time.Time) int {
	at = at.UTC()
	day := (int(at.Weekday()) + 6) % 7 // Monday is 0
	return day*24*60 + at.Hour()*60 + at.Minute()
}

// answer finds the index of an answer.
func (o Outlook) answer(c Circumstances, minute int) int {
	slot := o[0]
	for _, s := range o[1:] {
		if s.From > minute {
			break
		}
		slot = s
	}
	if len(slot.Cells) == 1 {
		return slot.Cells[0]
	}
	return slot.Cells[c.Cell()]
}

// Answer is what the policy says of a grant that has phases, and the phase in force.
func (t *Table) Answer(g Grant, c Circumstances, now time.Time) (Answer, Phase) {
	return t.AnswerWith(g, c, 0, now)
}

// AnswerWith is the same when somebody of a class of approvers has tapped as well; 0 for nobody.
func (t *Table) AnswerWith(g Grant, c Circumstances, approver int, now time.Time) (Answer, Phase) {
	p := g.Phases[len(g.Phases)-1]
	for _, one := range g.Phases {
		if one.Until != nil && now.Before(*one.Until) {
			p = one
			break
		}
	}
	outlook := p.Outlook
	if approver > 0 && approver <= len(p.Approved) {
		outlook = p.Approved[approver-1]
	}
	return t.bundle.Answers[t.bundle.Outlooks[outlook].answer(c, MinuteOfWeek(now))], p
}

// InShift reports whether somebody with these shifts is within one of them, and until when; zero for always. A shift that the bundle does not know covers nothing.
func (t *Table) InShift(shifts []string, now time.Time) (in bool, until time.Time) {
	if len(shifts) == 0 {
		return true, time.Time{}
	}
	until = now
	for longer := true; longer; { // another shift may go on where one ends
		longer = false
		for _, id := range shifts {
			for _, p := range t.bundle.Shifts[id] {
				if !until.Before(p.From) && until.Before(p.Until) {
					in, until, longer = true, p.Until, true
				}
			}
		}
	}
	if !in {
		return false, time.Time{}
	}
	return true, until
}

// FreshFor is how long a PIN stays fresh for somebody whose shift has no end: one who works round the clock, or has no shifts.
const FreshFor = 12 * time.Hour

// Fresh reports whether a PIN that somebody with these shifts gave last at a time was given in the shift that now is in. Off shift none is.
func (t *Table) Fresh(shifts []string, last, now time.Time) bool {
	in, until := t.InShift(shifts, now)
	switch {
	case !in || last.IsZero() || last.After(now):
		return false
	case until.IsZero():
		return now.Sub(last) < FreshFor
	}
	then, ended := t.InShift(shifts, last)
	return then && ended.Equal(until)
}

// sound reports what in a bundle points nowhere.
func (b *Bundle) sound() error {
	for i, o := range b.Outlooks {
		if len(o) == 0 || o[0].From != 0 {
			return fmt.Errorf("%w: outlook %d does not begin with the week", ErrMalformed, i)
		}
		for j, s := range o {
			if j > 0 && s.From <= o[j-1].From || s.From >= minutesOfWeek || len(s.Cells) != 1 && len(s.Cells) != Cells {
				return fmt.Errorf("%w: outlook %d, slot %d", ErrMalformed, i, j)
			}
			if slices.ContainsFunc(s.Cells, func(n int) bool { return n < 0 || n >= len(b.Answers) }) {
				return fmt.Errorf("%w: outlook %d, slot %d names an answer that is not there", ErrMalformed, i, j)
			}
		}
	}
	for _, g := range b.Grants {
		for i, p := range g.Phases {
			nowhere := func(outlook int) bool { return outlook < 0 || outlook >= len(b.Outlooks) }
			if nowhere(p.Outlook) || slices.ContainsFunc(p.Approved, nowhere) {
				return fmt.Errorf("%w: the grant of badge %s names an outlook that is not there", ErrMalformed, g.Badge)
			}
			if last := i == len(g.Phases)-1; last != (p.Until == nil) {
				return fmt.Errorf("%w: the phases of badge %s do not end", ErrMalformed, g.Badge)
			}
		}
	}
	return nil
}
