package offline

import (
	"time"

	"tapline/proto/grant"
	"tapline/proto/record"
)

// Reasons of a refusal, words of RefusalCause.
const (
	unknownBadge record.Reason = "unknown-badge"
	notOffline   record.Reason = "offline"
	weakBadge    record.Reason = "assurance"
	lapsed       record.Reason = "certification"
	outsideShift record.Reason = "shift"
	pinNeeded    record.Reason = "pin-needed"
)

// Verdict is what the bundle says about a badge.
type Verdict struct {
	Allowed  bool
	Refusal  record.Reason // empty when allowed
	Person   grant.Person  // empty when the badge is unknown
	Account  record.AccountID
	Terms    grant.Terms
	EndsAt   time.Time // zero for none, by the clock that now was read from
	Decision record.Decision
}

// Decide asks the bundle whether a badge may have the station at now, which the caller trusts. Without a bundle the station itself refuses.
func (k *Keeper) Decide(ref record.BadgeRef, assurance uint8, now time.Time) Verdict {
	t := k.current()
	if t == nil {
		return Verdict{Refusal: notOffline, Decision: record.Decision{By: "station"}}
	}
	b, tier := t.Bundle(), t.Tier(now)
	v := Verdict{
		Account: b.Account, Terms: b.Terms,
		Decision: record.Decision{By: "bundle", Bundle: b.Sequence, Policy: b.Policy, Tier: string(tier)},
	}
	g, known := t.Lookup(ref)
	if !known {
		v.Refusal = unknownBadge
		return v
	}
	v.Person, v.Decision.Rules = g.Person, g.Rules
	if v.Refusal = refusal(g, tier, assurance, now); v.Refusal != "" {
		return v
	}
	v.Allowed, v.EndsAt = true, endsAt(b, g, now)
	return v
}

// refusal says why a grant does not do, empty when it does.
func refusal(g grant.Grant, tier grant.TierName, assurance uint8, now time.Time) record.Reason {
	switch {
	case g.Refusal != "":
		return record.Reason(g.Refusal)
	case tier == grant.TierEmergency, g.OnlineOnly, tier == grant.TierEssential && !g.Essential:
		return notOffline
	case g.NotAfter != nil && !now.Before(*g.NotAfter):
		return lapsed
	case assurance < g.MinAssurance:
		return weakBadge
	case !inWindow(g.WindowMinutes, now):
		return outsideShift
	case g.NeedsPIN || tier == grant.TierEssential:
		return pinNeeded
	}
	return ""
}

// endsAt is when a session that begins now ends at the latest.
func endsAt(b *grant.Bundle, g grant.Grant, now time.Time) time.Time {
	var end time.Time
	if b.Terms.SessionSeconds > 0 {
		end = now.Add(time.Duration(b.Terms.SessionSeconds) * time.Second)
	}
	if g.NotAfter != nil && (end.IsZero() || g.NotAfter.Before(end)) {
		end = *g.NotAfter
	}
	return end
}

const minutesOfWeek = 7 * 24 * 60

// inWindow reports whether now is in one of the windows; no windows means always. A window may run over the end of the week.
func inWindow(windows []grant.Window, now time.Time) bool {
	if len(windows) == 0 {
		return true
	}
	now = now.UTC()
	day := (int(now.Weekday()) + 6) % 7 // Monday is 0
	minute := day*24*60 + now.Hour()*60 + now.Minute()
	for _, w := range windows {
		from, until := w.From, w.Until
		if until < from {
			until += minutesOfWeek
		}
		if minute >= from && minute < until || minute+minutesOfWeek >= from && minute+minutesOfWeek < until {
			return true
		}
	}
	return false
}
