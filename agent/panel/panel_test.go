package panel

import (
	"strings"
	"testing"
	"time"

	"tapline/agent/session"
)

func TestWhatThePersonReads(t *testing.T) {
	anna := session.Person{ID: "p-1", Name: "Anna B."}
	at := time.Date(2026, 11, 22, 14, 3, 0, 0, time.Local)
	for _, row := range []struct {
		name string
		do   func(*Panel)
		want string
	}{
		{"somebody comes", func(p *Panel) { p.Show(session.Presence{Session: "s", Person: anna, Since: at}, true) }, "press-4  Anna B. is here (14:03)\n"},
		{"shown twice is said once", func(p *Panel) {
			for range 2 {
				p.Show(session.Presence{Session: "s", Person: anna, Since: at}, true)
			}
		}, "press-4  Anna B. is here (14:03)\n"},
		{"the journal is down", func(p *Panel) { p.Show(session.Presence{Session: "s", Person: anna, Since: at}, false) }, "press-4  Anna B. is here (14:03), NOT RECORDED YET: the journal cannot be written\n"},
		{"a stranger", func(p *Panel) {
			p.Tell(session.Notice{Kind: session.Refused, Reason: "unknown-badge", HelpCode: "K4F2ZT"})
		}, "press-4  this badge is not known: ask for it to be enrolled (help code K4F2ZT)\n"},
		{"a reason that is new to us", func(p *Panel) { p.Tell(session.Notice{Kind: session.Refused, Reason: "moonphase"}) }, "press-4  this badge was refused: tell the help desk\n"},
		{"a person without a name to show", func(p *Panel) {
			p.Tell(session.Notice{Kind: session.AlreadyHere, Person: session.Person{ID: "p-2"}, Lasts: 10 * time.Second})
		}, "press-4  p-2 is already here: tap again within 10 s to leave\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out strings.Builder
			row.do(New(&out, "berlin/packing/line-3/press-4"))
			if out.String() != row.want {
				t.Errorf("got %q, want %q", out.String(), row.want)
			}
		})
	}
}
