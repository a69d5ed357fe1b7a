package session

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestBenTypesHisPIN(t *testing.T) {
	play(t, func(r *scenario) {
		r.pins["ben"] = "2468"
		r.As("anna").Tap("press-4")
		r.Wait(time.Minute)
		r.As("ben").Tap("press-4")
		r.Says("press-4", PINNeeded)
		r.Here("press-4", "anna") // until he has typed it
		r.Wait(20 * time.Second)
		r.As("ben").EnterPIN("press-4", "1357")
		r.Says("press-4", PINNeeded) // wrong, and he may try again
		r.As("ben").EnterPIN("press-4", "2468")
		r.Here("press-4", "ben")
		r.As("ben").EnterPIN("press-4", "2468") // nothing waits any more
		r.Story("press-4", "opened anna", "tap.refused ben: pin-wrong", "handed-over from anna to ben")
	})
}

func TestNobodyTypesThePIN(t *testing.T) {
	play(t, func(r *scenario) {
		r.pins["ben"] = "2468"
		r.As("ben").Tap("press-4")
		r.Wait(46 * time.Second)
		r.Says("press-4", Refused)
		r.As("ben").EnterPIN("press-4", "2468") // too late
		r.Here("press-4", "")
		r.As("ben").Tap("press-4")
		r.As("ben").CallOff("press-4")
		r.Story("press-4", "tap.refused ben: pin-needed", "tap.refused ben: called-off")
	})
}

func TestAnotherBadgeEndsTheWaitForAPIN(t *testing.T) {
	play(t, func(r *scenario) {
		r.pins["ben"] = "2468"
		r.As("ben").Tap("press-4")
		r.Wait(5 * time.Second)
		r.As("ben").Tap("press-4") // what does it want?
		r.Says("press-4", PINNeeded)
		r.Wait(5 * time.Second)
		r.As("anna").Tap("press-4")
		r.Here("press-4", "anna")
		r.Story("press-4", "tap.refused ben: overtaken", "opened anna")
	})
}

func TestALockedPINEndsTheWait(t *testing.T) {
	play(t, func(r *scenario) {
		r.pins["ben"] = "2468"
		r.As("ben").Tap("press-4")
		r.locked = true
		r.As("ben").EnterPIN("press-4", "2468")
		r.Says("press-4", Refused)
		if n := r.at("press-4").notice; n.Reason != "pin-locked" || n.Lasts != time.Minute {
			t.Errorf("the panel says %+v", n)
		}
		r.Story("press-4", "tap.refused ben: pin-locked")
	})
}

func TestTwoBadgesWhileAPINIsChecked(t *testing.T) {
	play(t, func(r *scenario) {
		r.pins["ben"] = "2468"
		r.As("ben").Tap("press-4")
		r.slow = 300 * time.Millisecond
		r.As("ben").EnterPIN("press-4", "1357")
		r.As("anna").Tap("press-4")
		r.As("cleo").Tap("press-4")
		r.Wait(2 * time.Second)
		r.Here("press-4", "cleo")
		r.Story("press-4", "tap.refused: overtaken", "tap.refused ben: pin-wrong", "tap.refused ben: overtaken", "opened cleo")
	})
}

func TestASupervisorApproves(t *testing.T) {
	play(t, func(r *scenario) {
		r.second["ben"], r.leads = "approval-needed", []string{"sup"}
		r.As("ben").Tap("press-4")
		r.Says("press-4", SecondNeeded)
		r.Wait(30 * time.Second)
		r.As("sup").Tap("press-4") // approves
		r.Here("press-4", "ben")
		r.Wait(time.Minute)
		r.As("sup").Tap("press-4") // approving does not make her part of it: this is a tap of her own
		r.Here("press-4", "sup")
		r.Story("press-4", "opened ben with sup as approver", "handed-over from ben to sup")
	})
}

func TestWhoeverCannotApproveJustTaps(t *testing.T) {
	play(t, func(r *scenario) {
		r.second["ben"], r.leads = "approval-needed", []string{"sup"}
		r.As("ben").Tap("press-4")
		r.As("cleo").Tap("press-4")
		r.Here("press-4", "cleo")
		r.As("ben").Tap("press-4")
		r.Wait(2 * time.Minute) // nobody comes
		r.Here("press-4", "cleo")
		r.Story("press-4", "tap.refused ben with somebody as approver: approval-needed", "opened cleo", "tap.refused ben: approval-needed")
	})
}

func TestASupervisorApprovesAndBenTypesHisPIN(t *testing.T) {
	play(t, func(r *scenario) {
		r.second["ben"], r.leads, r.pins["ben"] = "approval-needed", []string{"sup"}, "2468"
		r.As("ben").Tap("press-4")
		r.As("sup").Tap("press-4")
		r.Says("press-4", PINNeeded)
		r.As("ben").EnterPIN("press-4", "1111")
		r.As("ben").EnterPIN("press-4", "2468")
		r.Here("press-4", "ben")
		r.Story("press-4", "tap.refused ben with sup as approver: pin-wrong", "opened ben with sup as approver")
	})
}

func TestTwoPeopleAtTheReactor(t *testing.T) {
	play(t, func(r *scenario) {
		r.second["anna"], r.leads = "second-person-needed", []string{"ben"}
		r.As("anna").Tap("reactor")
		r.Says("reactor", SecondNeeded)
		r.As("ben").Tap("reactor")
		r.Here("reactor", "anna")
		if got := r.at("reactor").presence.Second.ID; got != "ben" {
			t.Errorf("beside Anna is %q", got)
		}
		r.Wait(time.Hour)
		r.As("ben").Tap("reactor")
		r.Says("reactor", AlreadyHere)
		r.Wait(time.Minute) // he stays
		r.As("ben").Tap("reactor")
		r.Wait(4 * time.Second)
		r.As("anna").Tap("reactor") // his question is not hers to answer
		r.Here("reactor", "anna")
		r.Wait(time.Minute)
		r.As("ben").Tap("reactor")
		r.Wait(4 * time.Second)
		r.As("ben").Tap("reactor") // he leaves, so she may not stay
		r.Here("reactor", "")
		r.Says("reactor", Ended)
		r.Story("reactor", "opened anna with ben as co-present", "closed anna: second-left")
	})
}

func TestAShiftEndsWithAWarning(t *testing.T) {
	play(t, func(r *scenario) {
		r.terms = Terms{EndsAt: time.Now().Add(8 * time.Hour)}
		r.As("anna").Tap("press-4")
		r.Wait(7*time.Hour + 55*time.Minute + time.Second)
		r.Says("press-4", EndNear)
		r.Wait(5 * time.Minute)
		r.Says("press-4", Ended)
		r.Story("press-4", "opened anna", "closed anna: shift-end")
	})
}

func TestWhoSignsInElsewhereIsToldSo(t *testing.T) {
	play(t, func(r *scenario) {
		r.As("anna").Tap("press-4")
		session := r.at("press-4").state.Session()
		r.As("anna").Tap("press-5")
		r.at("press-4").feed(Revoked{Session: session, Cause: Elsewhere}) // the broker's command
		r.Here("press-4", "")
		if n := r.at("press-4").notice; n.Kind != Ended || n.Reason != Elsewhere || n.Person.ID != "anna" {
			t.Errorf("press-4 says %+v", n)
		}
		r.Here("press-5", "anna")
		r.Story("press-4", "opened anna", "closed anna: elsewhere")
	})
}

func TestACardLeftInTheReaderWhileThePINIsTyped(t *testing.T) {
	play(t, func(r *scenario) {
		r.pins["ben"], r.terms = "2468", Terms{LeaveTheCard: true, CardGrace: 5 * time.Second}
		r.As("ben").Tap("press-4")
		r.As("ben").Take("press-4")
		r.As("ben").EnterPIN("press-4", "2468")
		r.Here("press-4", "ben")
		r.Wait(6 * time.Second)
		r.Story("press-4", "opened ben", "closed ben: card-removed")
		r.As("ben").Tap("press-4")
		r.As("ben").EnterPIN("press-4", "2468")
		r.Wait(time.Hour)
		r.Here("press-4", "ben")
	})
}

func TestAPINHidesItself(t *testing.T) {
	e := PINEntered{Session: "s1", PIN: NewPIN("2468")}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(b), fmt.Sprint(e), fmt.Sprintf("%+v %#v %q %x %s %d", e, e, e, e, e.PIN, e.PIN)} {
		if strings.Contains(text, "2468") || strings.Contains(text, "32343638") {
			t.Errorf("it says %s", text)
		}
	}
}

func TestWhatAStationThatWaitsTellsWhoeverAsks(t *testing.T) {
	play(t, func(r *scenario) {
		r.pins["ben"] = "2468"
		d := r.at("press-4")
		if _, waits := d.state.Waiting(time.Now()); waits {
			t.Error("it waits for nobody")
		}
		r.As("ben").Tap("press-4")
		r.Wait(5 * time.Second)
		n, waits := d.state.Waiting(time.Now())
		if !waits || n.Session != "s1" || n.Lasts != 40*time.Second || !n.Until.Equal(time.Now().Add(40*time.Second)) || n.Person.ID != "ben" {
			t.Errorf("it tells %+v", n)
		}
	})
}
