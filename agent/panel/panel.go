// Package panel shows the person at the station who is there: as a page for the browser of an HMI or a kiosk (Web), and as lines of text (Panel).
//
// The agent hands it each change; a line begins with the station's short name, so that several stations can share a screen:
//
//	press-4  Anna B. is here (14:03)
//	press-4  nobody is here
//
// It is the plainest panel there is: the page for an HMI takes its place on stations that have a screen. What it says is chosen from the kind of
// what happened, never from an error's text. It never shows a badge number, and it never waits for anybody.
package panel

import (
	"fmt"
	"io"
	"path"
	"sync"
	"time"

	"tapline/agent/session"
	"tapline/proto/record"
)

// Panel writes lines. Its methods may be called from any goroutine.
type Panel struct {
	name string

	mu    sync.Mutex // guards the fields below
	out   io.Writer
	shown record.SessionID
	kept  bool             // the record of what is shown is durable
	open  record.SessionID // the emergency that is shown
	used  bool             // the station is in use and nobody is named
}

// New makes the panel of a station. A line that out does not take is lost.
func New(out io.Writer, station record.StationID) *Panel {
	return &Panel{name: path.Base(string(station)), out: out, kept: true}
}

// Show says who is at the station. durable is false when the record of it could not be written yet.
func (p *Panel) Show(who session.Presence, durable bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := who.Emergency; e.ID != p.open {
		p.open = e.ID
		if e.ID != "" {
			p.shown, p.kept = "", true
			p.line("EMERGENCY (%s, %s): the station is open to everybody. Tap your badge when it is over; two people must claim it by %s", e.Reason, clock(e.Since), clock(e.ClaimBy))
			return
		}
		if who.Session == "" {
			p.line("the emergency is over")
		}
	}
	used := who.Used != ""
	if who.Session == p.shown && used == p.used && (durable == p.kept || who.Session == "") {
		return
	}
	p.shown, p.kept, p.used = who.Session, durable, used
	switch {
	case used:
		p.line("in use since %s, and nobody has tapped: tap your badge", clock(who.Since))
	case who.Session == "":
		p.line("nobody is here")
	case !durable:
		p.line("%s is here (%s), NOT RECORDED YET: the journal cannot be written", name(who.Person), clock(who.Since))
	default:
		p.line("%s is here (%s)", name(who.Person), clock(who.Since))
	}
}

// Tell says something to the person at the station.
func (p *Panel) Tell(n session.Notice) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch n.Kind {
	case session.Refused:
		p.line("%s%s", refusal(n.Reason), helpCode(n.HelpCode))
	case session.CannotRead:
		p.line("this badge cannot be read (%s): hold it flat on the reader, or try another", n.Reason)
	case session.AlreadyHere:
		p.line("%s is already here: tap again within %.0f s to leave", name(n.Person), n.Lasts.Seconds())
	case session.IdleWarning:
		p.line("%s, the session ends in %.0f s without input: tap to stay", name(n.Person), n.Lasts.Seconds())
	case session.PINNeeded:
		p.line("%sa PIN is needed within %.0f s: \"tapagent pin\"%s", forWhom(n.Person), n.Lasts.Seconds(), lastTry(n.Reason))
	case session.SecondNeeded:
		p.line("%sa second person must tap within %.0f s, %s", forWhom(n.Person), n.Lasts.Seconds(), what(n.Reason))
	case session.EndNear:
		p.line("%s, the session ends in %.0f minutes: %s", name(n.Person), n.Lasts.Minutes(), ending(n.Reason))
	case session.Ended:
		p.line("%sthe session has ended: %s", forWhom(n.Person), ending(n.Reason))
	case session.CardGone:
		p.line("%s, your badge has left the reader: put it back within %.0f s to stay", name(n.Person), n.Lasts.Seconds())
	case session.JournalChanged:
		p.line("%s", journal(n.Reason))
	case session.ModeNotice:
		p.line("%s", mode(n.Reason))
	case session.ClaimTap:
		p.line("%stap your badge within %.0f s to answer for the emergency: %d more must", samePerson(n.Reason), n.Lasts.Seconds(), n.Missing)
	case session.Claimed:
		p.line("the emergency is claimed: thank you")
	case session.Unanswered:
		p.line("AN EMERGENCY IS NOT CLAIMED: %d more must answer for it (tapagent emergency claim)", n.Missing)
	case session.ReaderChanged:
		if n.Reason != "" {
			p.line("reader %s is away (%s)", n.Reader, n.Reason)
			return
		}
		p.line("reader %s is ready", n.Reader)
	}
}

// line writes one line. mu must be held.
func (p *Panel) line(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, "%s  %s\n", p.name, fmt.Sprintf(format, args...))
}

func name(p session.Person) string {
	if p.Name != "" {
		return p.Name
	}
	return string(p.ID)
}

// forWhom begins a line that is for somebody, if it is known for whom.
func forWhom(p session.Person) string {
	if who := name(p); who != "" {
		return who + ", "
	}
	return ""
}

// samePerson begins the line for somebody who has claimed an emergency already.
func samePerson(why record.Reason) string {
	if why == session.SamePerson {
		return "you have claimed it already, another person must: "
	}
	return ""
}

// lastTry says what was wrong with the last one.
func lastTry(why record.Reason) string {
	if why == "" {
		return ""
	}
	return " (" + refusal(why) + ")"
}

// what says what a second person is wanted for.
func what(why record.Reason) string {
	if why == "second-person-needed" {
		return "and stay"
	}
	return "to approve"
}

// ending says what ends a session.
func ending(why record.Reason) string {
	says := map[record.Reason]string{
		session.IdleEnd: "nobody used the station", session.ShiftEnd: "the shift is over", session.Expired: "its time is up",
		session.CardRemoved: "the badge was taken away", session.Elsewhere: "you have signed in at another station",
		session.SecondLeft: "the second person has left", session.RevokedCause: "the broker ended it",
	}
	if s, ok := says[why]; ok {
		return s
	}
	return "the broker ended it"
}

func clock(t time.Time) string { return t.Local().Format("15:04") }

func helpCode(code string) string {
	if code == "" {
		return ""
	}
	return " (help code " + code + ")"
}

// journal says how it is with the station's records, and what to do.
func journal(fault record.Reason) string {
	says := map[record.Reason]string{
		"":                  "what happens here is recorded again",
		"full":              "the disk is full: go on working; what happens is recorded as soon as there is room. Tell the help desk",
		"read-only":         "the disk cannot be written: go on working; what happens is recorded as soon as it can. Tell the help desk",
		session.JournalSlow: "the disk is slow: go on working; what happens is recorded a little later",
		session.JournalLow:  "the disk will be full in some days: tell the help desk",
	}
	if s, ok := says[fault]; ok {
		return s
	}
	return "what happens here cannot be recorded now: go on working; it is recorded as soon as the disk works. Tell the help desk"
}

// refusal says why a badge was refused and what to do next.
func refusal(why record.Reason) string {
	says := map[record.Reason]string{
		"unknown-badge":   "this badge is not known: ask for it to be enrolled",
		"badge-revoked":   "this badge was reported lost or taken back: use your new one",
		"person-inactive": "this badge's owner is not active: ask your supervisor",
		"policy":          "you may not work at this station: ask your supervisor",
		"policy-error":    "the rules could not be read, so nobody may in: tell the help desk",
		"pin-needed":      "the PIN was not entered in time: tap again",
		"pin-wrong":       "the PIN is wrong",
		"pin-locked":      "too many wrong PINs: wait, then try again",
		"assurance":       "this kind of badge is too weak for this station: use your card",
		"lease-held":      "the account is in use elsewhere: end that session first",
		"approval-needed": "a second person must approve, and nobody did in time: tap again",

		"second-person-needed": "a second person must be here, and nobody came in time: tap again",
		"elsewhere":            "you are signed in at another station: leave there first",
		"certification":        "a certificate that this station asks for is missing or has lapsed",
		"shift":                "this is outside your shift",
		"offline":              "the broker is away, and without it you may not work here: ask your supervisor",
		"station":              "this station is not in order with its broker: tell the help desk",
		"called-off":           "called off",
		"overtaken":            "another badge came first: tap again",
		"agent-stopped":        "the agent is stopping: tap again in a moment",
		"revoked":              "the session was ended by the broker",
	}
	if s, ok := says[why]; ok {
		return s
	}
	return "this badge was refused: tell the help desk"
}
