package panel

import (
	"time"
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
	t := v.T
	v.is(kindEmergency, "emergency", "stop", t.Say("emergency.title"), t.Say("emergency.text"), "")
	if since := m.presence.GetSince(); since != nil {
		v.Facts = append(v.Facts, fact{"", t.Say("named.since", "time", clock(since.AsTime()))}, fact{"", t.span(now.Sub(since.AsTime()))})
	}
	v.Act = &act{Name: "claim", Label: t.Say("claim.button"), Icon: "hand", ID: m.presence.GetSession()}
}
