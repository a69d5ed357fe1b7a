package panel

import (
	"time"

	taplinev1 "tapline/proto/tapline/v1"
)

// How long things stay on the page. A notice stays for as long as its sender says, within these bounds: what was said to one person must not keep
// the next one from reading "tap your badge".
const (
	noticeLasts   = 6 * time.Second
	noticeLongest = 20 * time.Second
	decidingLasts = 10 * time.Second
	handOverLasts = 5 * time.Second
)

// sound is one of the three that the page makes. Each has a twin that is seen.
type sound string

const (
	soundOK       sound = "ok"
	soundRefused  sound = "refused"
	soundExpiring sound = "expiring"
)

// model is what the page knows. It is pure: changes and the time go in, and a view comes out.
type model struct {
	presence *taplinev1.Presence
	status   *taplinev1.GetStatusResponse

	notice      *taplinev1.Notice
	noticeUntil time.Time // the notice is shown until then
	answerBy    time.Time // what the notice counts down to; zero for nothing

	before      *taplinev1.Person // who was here before the person who is
	beforeUntil time.Time

	cue   int // rises with each sound
	sound sound
}

func (m *model) ring(s sound) { m.cue, m.sound = m.cue+1, s }

// apply takes in a change.
func (m *model) apply(c *taplinev1.WatchPresenceResponse, now time.Time) {
	if p := c.GetPresence(); p != nil {
		m.moved(p, now)
	}
	if n := c.GetNotice(); n != nil {
		m.told(n, now)
	} else {
		m.settle()
	}
}

// moved compares who was here with who is.
func (m *model) moved(p *taplinev1.Presence, now time.Time) {
	was := m.presence
	m.presence = p
	if was == nil || was.GetSession() == p.GetSession() && was.GetState() == p.GetState() {
		return
	}
	if was.GetSession() == p.GetSession() && p.GetPerson() != nil {
		return // recorded by now, or not any more
	}
	m.notice, m.before = nil, nil
	switch {
	case p.GetState() == taplinev1.PresenceState_PRESENCE_STATE_EMERGENCY:
		m.ring(soundExpiring)
	case p.GetPerson() != nil:
		m.ring(soundOK)
		if was.GetPerson() != nil && was.GetPerson().GetId() != p.GetPerson().GetId() {
			m.before, m.beforeUntil = was.GetPerson(), now.Add(handOverLasts)
		}
	}
}

// settle ends a notice that is true only until the next change. Others run their time: a refusal can be read to its end though somebody else is shown
// again, and a tap that waits goes on waiting.
func (m *model) settle() {
	switch m.notice.GetKind() {
	case taplinev1.NoticeKind_NOTICE_KIND_REFUSED, taplinev1.NoticeKind_NOTICE_KIND_UNREADABLE, taplinev1.NoticeKind_NOTICE_KIND_ENDED,
		taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED, taplinev1.NoticeKind_NOTICE_KIND_SECOND_PERSON_NEEDED,
		taplinev1.NoticeKind_NOTICE_KIND_CLAIMED, taplinev1.NoticeKind_NOTICE_KIND_EMERGENCY_UNCLAIMED:
	default:
		m.notice = nil
	}
}

// told takes in a notice.
func (m *model) told(n *taplinev1.Notice, now time.Time) {
	lasts := n.GetLasts().AsDuration()
	m.answerBy = time.Time{}
	if lasts > 0 {
		m.answerBy = now.Add(lasts)
	}
	shown, rings := lasts, sound("")
	switch n.GetKind() {
	case taplinev1.NoticeKind_NOTICE_KIND_REFUSED:
		if n.GetRefusal() == taplinev1.RefusalCause_REFUSAL_CAUSE_CALLED_OFF {
			m.notice = nil // whoever touched "cancel" knows
			return
		}
		shown, rings = min(max(lasts, noticeLasts), noticeLongest), soundRefused
		if lasts <= noticeLasts {
			m.answerBy = time.Time{} // nothing to wait for
		}
	case taplinev1.NoticeKind_NOTICE_KIND_UNREADABLE:
		shown, rings, m.answerBy = noticeLasts, soundRefused, time.Time{}
	case taplinev1.NoticeKind_NOTICE_KIND_DECIDING:
		shown, m.answerBy = decidingLasts, time.Time{}
	case taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED, taplinev1.NoticeKind_NOTICE_KIND_SECOND_PERSON_NEEDED:
		if n.GetRefusal() == taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG {
			rings = soundRefused
		}
	case taplinev1.NoticeKind_NOTICE_KIND_ALREADY_HERE:
	case taplinev1.NoticeKind_NOTICE_KIND_IDLE_WARNING, taplinev1.NoticeKind_NOTICE_KIND_CARD_GONE, taplinev1.NoticeKind_NOTICE_KIND_END_NEAR:
		rings = soundExpiring
	case taplinev1.NoticeKind_NOTICE_KIND_CLAIM_TAP:
		if n.GetSamePerson() {
			rings = soundRefused
		}
	case taplinev1.NoticeKind_NOTICE_KIND_CLAIMED:
		shown, rings, m.answerBy = noticeLasts, soundOK, time.Time{}
	case taplinev1.NoticeKind_NOTICE_KIND_ENDED, taplinev1.NoticeKind_NOTICE_KIND_EMERGENCY_UNCLAIMED:
		shown, rings, m.answerBy = noticeLasts, soundExpiring, time.Time{}
	default:
		return // readers, broker and journal are read from the status
	}
	if shown <= 0 {
		shown = noticeLongest
	}
	m.notice, m.noticeUntil = n, now.Add(shown)
	if rings != "" {
		m.ring(rings)
	}
}

// pass lets what is over go, and reports whether anything was.
func (m *model) pass(now time.Time) bool {
	over := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	changed := false
	if m.notice != nil && over(m.noticeUntil) {
		m.notice, changed = nil, true
	}
	if m.before != nil && over(m.beforeUntil) {
		m.before, changed = nil, true
	}
	return changed
}

// language is the BCP 47 tag of whom the page speaks to; empty for the station's own.
func (m *model) language() string {
	if m.notice != nil {
		if tag := m.notice.GetPerson().GetLanguage(); tag != "" {
			return tag
		}
		if m.notice.GetKind() == taplinev1.NoticeKind_NOTICE_KIND_REFUSED || m.notice.GetKind() == taplinev1.NoticeKind_NOTICE_KIND_UNREADABLE {
			return "" // a stranger
		}
	}
	return m.presence.GetPerson().GetLanguage()
}
