package panel

import (
	"slices"
	"time"

	taplinev1 "tapline/proto/tapline/v1"
)

// What the page knows from the agent's status: the line to the broker, the journal, the readers.

func (m *model) readerAway() bool {
	return m.status != nil && !slices.ContainsFunc(m.status.GetReaders(), (*taplinev1.ReaderStatus).GetAttached)
}

// isOffline reports whether the broker is away. An agent that has never named a broker is one that is just starting.
func (m *model) isOffline() bool {
	b := m.status.GetBroker()
	return b != nil && !b.GetConnected() && b.GetSince() != nil
}

// chips are what is wrong with the station, in short, whatever the page shows.
func (m *model) chips(v *view) {
	t := v.T
	if v.Open && v.Kind != kindEmergency {
		v.Chips = append(v.Chips, chip{"emergency", t.Say("emergency.title"), "stop"})
	}
	if !v.Open && m.unclaimed() != nil {
		v.Chips = append(v.Chips, chip{"unclaimed", t.Say("unclaimed.chip"), "hand"})
	}
	if m.isOffline() {
		v.Chips = append(v.Chips, chip{"offline", t.Say("offline.chip"), "cut"})
	}
	if m.status.GetJournal().GetDegraded() || m.presence.GetPerson() != nil && m.presence.GetState() == taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED {
		v.Chips = append(v.Chips, chip{"journal", t.Say("journal.chip"), "pen"})
	} else if m.status.GetJournal().GetLow() {
		v.Chips = append(v.Chips, chip{"low", t.Say("journal.low"), "pen"})
	}
	if m.readerAway() {
		v.Chips = append(v.Chips, chip{"reader", t.Say("reader.chip"), "plug"})
	}
}

// offline says for how long the broker has been away, and what still works.
func (m *model) offline(v *view, now time.Time) {
	if !m.isOffline() {
		return
	}
	t, since := v.T, m.status.GetBroker().GetSince().AsTime()
	v.Note = t.Say("offline.since", "time", moment(since, now), "span", t.span(now.Sub(since)))
	tier := m.status.GetBundle().GetTier()
	if !t.has("offline." + tier) {
		tier = "emergency" // no grants, or none that are still good
	}
	v.Note += ". " + t.Say("offline."+tier)
}

// moment is a time of day, with the date when that is not today's; in figures, which every language here reads.
func moment(at, now time.Time) string {
	if at.Local().Format(time.DateOnly) == now.Local().Format(time.DateOnly) {
		return clock(at)
	}
	return at.Local().Format("2006-01-02 15:04")
}
