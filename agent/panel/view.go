package panel

import (
	"path"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"
)

// kind is a state of the page. Its name is in the page's markup, in the names of its pictures, and in the tests.
type kind string

// The states that the agent brings about. Four more are the page's own and lie in it all the time: gone (the agent is not heard any more), reasons
// (of an emergency), leave (asks once more) and failed.
const (
	kindIdle         kind = "idle"
	kindReaderAway   kind = "reader-away"
	kindDeciding     kind = "deciding"
	kindNamed        kind = "named"
	kindHandOver     kind = "hand-over"
	kindUnrecorded   kind = "unrecorded"
	kindUnattributed kind = "unattributed"
	kindRefused      kind = "refused"
	kindUnreadable   kind = "unreadable"
	kindPIN          kind = "pin"
	kindSecond       kind = "second"
	kindAsk          kind = "ask"
	kindIdleWarning  kind = "idle-warning"
	kindCardGone     kind = "card-gone"
	kindEndNear      kind = "end-near"
	kindEnded        kind = "ended"
	kindEmergency    kind = "emergency"
	kindClaim        kind = "claim"
	kindClaimed      kind = "claimed"
	kindUnclaimed    kind = "unclaimed"
)

// view is what the page shows at one moment, in one language.
type view struct {
	Kind kind
	// Tone is how loud: calm, ok, ask, warn, bad, emergency. Shape and words say the same.
	Tone string
	// Icon is the shape: an ID of the page's sprite.
	Icon                    string
	Title, Text, Note, Next string
	Facts                   []fact
	Code                    string
	Bar                     *bar
	PIN                     *pinPad
	// Acts are what can be touched at the end of the bottom edge.
	Acts []act
	// Open is set while the station is open in an emergency, whatever else is shown.
	Open bool

	Station string
	Who     string // who is here, when something else is shown
	Chips   []chip
	Leave   string // the session that "end session" ends; empty for none

	T     *tongue
	Cue   int
	Sound sound
}

type fact struct{ Label, Value string }

// bar counts down to Until (Unix milliseconds), from Total before it.
type bar struct {
	Label        string
	Until, Total int64
}

type pinPad struct{ Session string }

type act struct{ Name, Label, Icon, ID string }

type chip struct{ Name, Label, Icon string }

// view is what the page shows at the time now.
func (m *model) view(t *tongue, now time.Time) view {
	v := view{T: t, Cue: m.cue, Sound: m.sound, Station: path.Base(m.presence.GetStation())}
	v.Open = m.presence.GetState() == taplinev1.PresenceState_PRESENCE_STATE_EMERGENCY
	m.scene(&v, now)
	if p := m.presence.GetPerson(); p != nil && !strings.Contains(v.Title, nameOf(p)) {
		v.Who = nameOf(p)
	}
	m.chips(&v)
	m.offerClaim(&v)
	if v.Leave != "" && !v.Open {
		v.Acts = append(v.Acts, act{Name: "leave", Label: t.Say("leave.button"), Icon: "door"})
	}
	return v
}

// scene chooses the state: what was just touched or said comes before what lasts.
func (m *model) scene(v *view, now time.Time) {
	if m.notice != nil {
		m.noticed(v)
		return
	}
	m.lasting(v, now)
}

func (v *view) is(k kind, tone, icon, title, text, next string) {
	v.Kind, v.Tone, v.Icon, v.Title, v.Text, v.Next = k, tone, icon, title, text, next
}

// lasting is the state when nothing has just happened.
func (m *model) lasting(v *view, now time.Time) {
	t, p := v.T, m.presence
	switch {
	case v.Open:
		m.emergency(v, now)
	case p.GetPerson() != nil && p.GetState() == taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED:
		v.is(kindUnrecorded, "warn", "pen", nameOf(p.GetPerson()), t.Say("unrecorded.text"), t.Say("unrecorded.next"))
		m.times(v, now)
	case p.GetPerson() != nil && m.before != nil:
		v.is(kindHandOver, "ok", "swap", nameOf(p.GetPerson()), t.Say("handover.text", "before", nameOf(m.before)), "")
		m.times(v, now)
	case p.GetPerson() != nil:
		v.is(kindNamed, "calm", "person", nameOf(p.GetPerson()), t.Say("named.text"), "")
		m.times(v, now)
	case p.GetState() == taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED:
		v.is(kindUnattributed, "warn", "question", t.Say("unattributed.title"), t.Say("unattributed.text"), t.Say("idle.title"))
	case m.readerAway():
		v.is(kindReaderAway, "warn", "plug", t.Say("reader-away.title"), t.Say("reader-away.text"), t.Say("reader-away.next"))
	default:
		v.is(kindIdle, "calm", "badge", t.Say("idle.title"), t.Say("idle.text"), "")
	}
	if v.Kind != kindUnrecorded {
		m.offline(v, now)
	}
}

// endsSoon is from when a session's end is counted down.
const endsSoon = 15 * time.Minute

// times says since when somebody is here, and until when.
func (m *model) times(v *view, now time.Time) {
	t, p := v.T, m.presence
	v.Leave = p.GetSession()
	if second := p.GetSecond(); second != nil {
		v.Text += " " + t.Say("named.second", "name", nameOf(second))
	}
	if since := p.GetSince(); since != nil {
		v.Facts = append(v.Facts, fact{t.Say("named.for"), t.span(now.Sub(since.AsTime()))}, fact{"", t.Say("named.since", "time", clock(since.AsTime()))})
	}
	if ends := p.GetEndsAt(); ends != nil {
		v.Facts = append(v.Facts, fact{"", t.Say("named.ends", "time", clock(ends.AsTime()))})
		if left := ends.AsTime().Sub(now); left > 0 && left <= endsSoon {
			v.Bar = barOf(t.Say("named.left"), ends.AsTime(), endsSoon)
		}
	}
}

// noticed is the state while a notice is shown.
func (m *model) noticed(v *view) {
	t, n := v.T, m.notice
	name, lasts := nameOf(n.GetPerson()), n.GetLasts().AsDuration()
	count := func(key string) {
		if !m.answerBy.IsZero() {
			v.Bar = barOf(t.Say(key), m.answerBy, lasts)
		}
	}
	switch n.GetKind() {
	case taplinev1.NoticeKind_NOTICE_KIND_DECIDING:
		v.is(kindDeciding, "calm", "wait", t.Say("deciding.title"), t.Say("deciding.text"), "")
	case taplinev1.NoticeKind_NOTICE_KIND_UNREADABLE:
		v.is(kindUnreadable, "bad", "stop", t.Say("unreadable.title"), "", t.Say("unreadable.next"))
	case taplinev1.NoticeKind_NOTICE_KIND_ALREADY_HERE:
		v.is(kindAsk, "ask", "question", t.Say("ask.title", "name", name), t.Say("ask.text"), t.Say("ask.next"))
		v.Leave = m.presence.GetSession()
		count("answer.left")
	case taplinev1.NoticeKind_NOTICE_KIND_IDLE_WARNING:
		v.is(kindIdleWarning, "warn", "clock", t.Say("idle-warning.title", "name", name), t.Say("idle-warning.text"), "")
		count("idle-warning.left")
	case taplinev1.NoticeKind_NOTICE_KIND_CARD_GONE:
		v.is(kindCardGone, "warn", "badge", t.Say("card-gone.title"), t.Say("card-gone.text"), "")
		count("idle-warning.left")
	case taplinev1.NoticeKind_NOTICE_KIND_END_NEAR:
		v.is(kindEndNear, "warn", "clock", t.Say("end-near.title", "name", nameOf(m.presence.GetPerson())), causeText(t, "near", n.GetCause()), "")
		count("idle-warning.left")
	case taplinev1.NoticeKind_NOTICE_KIND_ENDED:
		v.is(kindEnded, "ask", "door", t.Say("ended.title"), causeText(t, "cause", n.GetCause()), t.Say("ended.next"))
	case taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED:
		m.pin(v)
		count("answer.left")
	case taplinev1.NoticeKind_NOTICE_KIND_SECOND_PERSON_NEEDED:
		m.second(v, name)
		count("answer.left")
	case taplinev1.NoticeKind_NOTICE_KIND_CLAIM_TAP, taplinev1.NoticeKind_NOTICE_KIND_CLAIMED, taplinev1.NoticeKind_NOTICE_KIND_EMERGENCY_UNCLAIMED:
		m.claimNotice(v)
		count("answer.left")
	default:
		why, next := refusalTexts(t, n)
		v.is(kindRefused, "bad", "stop", why, name, next)
		v.Code = n.GetHelpCode()
		count("again.left")
	}
}

func (m *model) pin(v *view) {
	t, n := v.T, m.notice
	v.is(kindPIN, "ask", "lock", t.Say("pin.title"), nameOf(n.GetPerson()), "")
	if n.GetRefusal() == taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG {
		v.Tone, v.Icon, v.Note = "bad", "stop", t.Say("pin.wrong")
	}
	v.PIN = &pinPad{Session: n.GetSession()}
	v.Acts = cancel(t, n.GetSession())
}

// second asks for another person's badge.
func (m *model) second(v *view, name string) {
	t, about := v.T, "approval"
	if m.notice.GetRefusal() == taplinev1.RefusalCause_REFUSAL_CAUSE_SECOND_PERSON_NEEDED {
		about = "second"
	}
	text := ""
	if name != "" {
		text = t.Say(about+".text", "name", name)
	}
	v.is(kindSecond, "ask", "people", t.Say(about+".title"), text, t.Say(about+".next"))
	v.Acts = cancel(t, m.notice.GetSession())
}

func cancel(t *tongue, session string) []act {
	return []act{{Name: "cancel", Label: t.Say("cancel"), Icon: "cross", ID: session}}
}

func barOf(label string, until time.Time, total time.Duration) *bar {
	return &bar{Label: label, Until: until.UnixMilli(), Total: max(total.Milliseconds(), 1)}
}

func nameOf(p *taplinev1.Person) string {
	if p.GetDisplayName() != "" {
		return p.GetDisplayName()
	}
	return p.GetId()
}

// wordOf is the name of an enumeration's value as catalogues spell it.
func wordOf(name, prefix string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, prefix)), "_", "-")
}

// refusalTexts says why a badge was refused and what to do next, in the words of an operator.
func refusalTexts(t *tongue, n *taplinev1.Notice) (why, next string) {
	word := wordOf(n.GetRefusal().String(), "REFUSAL_CAUSE_")
	if n.GetRefusal() == taplinev1.RefusalCause_REFUSAL_CAUSE_UNSPECIFIED {
		word = n.GetReason()
	}
	if !t.has("refused." + word + ".why") {
		word = "other"
	}
	return t.Say("refused." + word + ".why"), t.Say("refused." + word + ".next")
}

// causeText says why a session has ended ("cause") or is about to ("near").
func causeText(t *tongue, about string, cause taplinev1.EndCause) string {
	key := about + "." + wordOf(cause.String(), "END_CAUSE_")
	if !t.has(key) {
		key = about + ".other"
	}
	return t.Say(key)
}

// What the templates ask a view for.

// Clock is the time of day at the station.
func (v view) Clock() string { return clock(time.Now()) }

// Digits are the keys of the PIN pad.
func (view) Digits() []string { return strings.Split("1234567890", "") }

// longestPIN is how many digits the pad takes.
const longestPIN = 12

// Typed is what a screen reader says after each digit, without the digit.
func (v view) Typed() []string {
	var list []string
	for n := range longestPIN {
		list = append(list, v.T.count("pin.typed", n+1))
	}
	return list
}
