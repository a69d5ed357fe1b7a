package panel

import (
	"time"

	taplinev1 "tapline/proto/tapline/v1"
)

// reasons are the words of an emergency's tiles, as records have them, each with its shape. The catalogue has the words that are read.
func reasons() []act {
	return []act{
		{Name: "alarm", Icon: "bell"},
		{Name: "injury", Icon: "plus"},
		{Name: "fire", Icon: "flame"},
		{Name: "machine", Icon: "gear"},
		{Name: "badge", Icon: "badge"},
		{Name: "other", Icon: "question"},
	}
}

// emergency is the state while the station is open for everyone.
func (m *model) emergency(v *view, now time.Time) {
	t, e := v.T, m.presence.GetEmergency()
	v.is(kindEmergency, "emergency", "stop", t.Say("emergency.title"), t.Say("emergency.text"), "")
	word := "reason." + e.GetReason()
	if !t.has(word) {
		word = "reason.other"
	}
	v.Facts = append(v.Facts, fact{"", t.Say("emergency.reason", "reason", t.Say(word))})
	if since := e.GetSince(); since != nil {
		v.Facts = append(v.Facts, fact{"", t.Say("named.since", "time", clock(since.AsTime()))}, fact{"", t.span(now.Sub(since.AsTime()))})
	}
	m.claims(v, e)
	v.Acts = append(v.Acts, act{Name: "leave", Label: t.Say("emergency.end"), Icon: "door"})
	v.Leave = e.GetId()
}

// claims says who must still answer for an emergency, and by when.
func (m *model) claims(v *view, e *taplinev1.Emergency) {
	t := v.T
	if e.GetMissing() == 0 {
		v.Note = t.Say("claimed.text")
		return
	}
	v.Note = t.count("emergency.missing", int(e.GetMissing()))
	switch by := e.GetClaimBy(); {
	case e.GetOverdue():
		v.Next = t.Say("emergency.late")
	case by != nil:
		v.Bar = barOf(t.Say("emergency.claim-by", "time", clock(by.AsTime())), by.AsTime(), by.AsTime().Sub(e.GetSince().AsTime()))
	}
}

// unclaimed is the oldest emergency that people must still answer for; nil for none.
func (m *model) unclaimed() *taplinev1.Emergency {
	if list := m.presence.GetUnclaimed(); len(list) > 0 {
		return list[0]
	}
	return nil
}

// offerClaim lets people answer for an emergency whenever nothing else is asked of them.
func (m *model) offerClaim(v *view) {
	e := m.unclaimed()
	if e == nil || m.notice != nil {
		return
	}
	if !v.Open && v.Note == "" {
		v.Note = v.T.Say("emergency.over")
	}
	v.Acts = append(v.Acts, act{Name: "claim", Label: v.T.Say("claim.button"), Icon: "hand", ID: e.GetId()})
}

// claimNotice is what is said about claims.
func (m *model) claimNotice(v *view) {
	t, n := v.T, m.notice
	switch n.GetKind() {
	case taplinev1.NoticeKind_NOTICE_KIND_CLAIM_TAP:
		v.is(kindClaim, "ask", "badge", t.Say("claim.title"), t.Say("claim.text"), "")
		v.Note = t.count("emergency.missing", int(n.GetMissing()))
		if n.GetSamePerson() {
			v.Tone, v.Icon, v.Next = "bad", "stop", t.Say("claim.same")
		}
	case taplinev1.NoticeKind_NOTICE_KIND_CLAIMED:
		v.is(kindClaimed, "ok", "hand", t.Say("claimed.title"), t.Say("claimed.text"), "")
	default:
		v.is(kindUnclaimed, "warn", "clock", t.Say("unclaimed.title"), t.count("emergency.missing", int(n.GetMissing())), t.Say("emergency.late"))
	}
}
