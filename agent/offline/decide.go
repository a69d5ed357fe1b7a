package offline

import (
	"time"

	"tapline/proto/grant"
	"tapline/proto/record"
)

// Reasons of a refusal, words of RefusalCause.
const (
	unknownBadge record.Reason = "unknown-badge"
	revokedBadge record.Reason = "badge-revoked"
	notOffline   record.Reason = "offline"
	weakBadge    record.Reason = "assurance"
	lapsed       record.Reason = "certification"
	outsideShift record.Reason = "shift"
	pinNeeded    record.Reason = "pin-needed"
)

// Ask is a tap that the bundle is asked about.
type Ask struct {
	Badge     record.BadgeRef
	Assurance uint8
	// PIN says that a good one was given with the tap.
	PIN bool
	// Past is what the station remembers of the person.
	Past Past
	// Second is another badge that came with the tap; empty for none.
	Second record.BadgeRef
}

// Verdict is what the bundle says about a badge.
type Verdict struct {
	Allowed  bool
	Refusal  record.Reason // empty when allowed
	Person   grant.Person  // empty when the badge is unknown
	Second   grant.Person  // whose badge came with the tap and may count; empty for nobody
	Account  record.AccountID
	Terms    grant.Terms
	EndsAt   time.Time // zero for none, by the clock that now was read from
	Decision record.Decision
}

// Decide asks the bundle whether a badge may have the station at now, which the caller trusts. Without a bundle the station itself refuses.
func (k *Keeper) Decide(a Ask, now time.Time) Verdict {
	t := k.current()
	if t == nil {
		return Verdict{Refusal: notOffline, Decision: record.Decision{By: "station"}}
	}
	b, tier := t.Bundle(), t.Tier(now)
	v := Verdict{
		Account: b.Account, Terms: b.Terms,
		Decision: record.Decision{By: "bundle", Bundle: b.Sequence, Policy: b.Policy, Tier: string(tier)},
	}
	g, known := t.Lookup(a.Badge)
	if !known {
		v.Refusal = unknownBadge
		return v
	}
	v.Person = g.Person
	q := question{table: t, grant: g, ask: a, tier: tier, now: now}
	switch {
	case g.BadgeUntil != nil && !now.Before(*g.BadgeUntil):
		v.Refusal = revokedBadge
	case g.Refusal != "":
		v.Refusal = record.Reason(g.Refusal)
	case tier == grant.TierEmergency, g.OnlineOnly:
		v.Refusal = notOffline
	case len(g.Phases) > 0:
		q.approver, v.Second = q.second()
		v.Refusal, v.Decision.Rules = q.answer()
	default:
		v.Refusal, v.Decision.Rules = q.plain(), g.Rules
	}
	if v.Refusal == "" {
		v.Allowed, v.EndsAt = true, q.endsAt()
	}
	return v
}

// question is one look at a grant.
type question struct {
	table *grant.Table
	grant grant.Grant
	ask   Ask
	tier  grant.TierName
	now   time.Time
	// approver is the class of the second person; 0 for none who counts.
	approver int
}

// second is the second person, if they count: another person, in good standing as far as is known here, whose approval the broker worked out. Past the tier of
// everybody their badge has to be an essential one as well.
func (q question) second() (class int, person grant.Person) {
	g, known := q.table.Lookup(q.ask.Second)
	switch {
	case !known, g.Person.ID == q.grant.Person.ID, g.Refusal != "", g.OnlineOnly, g.Approver == 0, len(g.Phases) == 0:
		return 0, grant.Person{}
	case g.BadgeUntil != nil && !q.now.Before(*g.BadgeUntil), q.tier == grant.TierEssential && !g.Phases[0].Essential:
		return 0, grant.Person{}
	}
	return g.Approver, g.Person
}

func (q question) circumstances() grant.Circumstances {
	in, _ := q.table.InShift(q.grant.Shifts, q.now)
	use := grant.Use{Assurance: q.ask.Assurance, Fresh: q.table.Fresh(q.grant.Shifts, q.ask.Past.PINAt, q.now), LastHere: q.ask.Past.LastHere}
	return grant.Circumstances{
		Assurance: q.ask.Assurance, PIN: q.ask.PIN, Fresh: use.Fresh, Due: q.table.Bundle().PIN.Due(use, q.now), OffShift: !in,
	}
}

// answer is what the policy said when the bundle was made, for these circumstances. Past the tier of everybody only essential roles work, and with a PIN.
func (q question) answer() (record.Reason, []string) {
	said, phase := q.table.AnswerWith(q.grant, q.circumstances(), q.approver, q.now)
	switch {
	case q.tier == grant.TierEssential && !phase.Essential:
		return notOffline, nil
	case said.Refusal != "":
		return record.Reason(said.Refusal), said.Rules
	case q.tier == grant.TierEssential && !q.ask.PIN:
		return pinNeeded, said.Rules
	}
	return "", said.Rules
}

// plain holds a grant that has no phases to what older brokers wrote.
func (q question) plain() record.Reason {
	g := q.grant
	switch {
	case q.tier == grant.TierEssential && !g.Essential:
		return notOffline
	case g.NotAfter != nil && !q.now.Before(*g.NotAfter):
		return lapsed
	case q.ask.Assurance < g.MinAssurance:
		return weakBadge
	case !inWindow(g.WindowMinutes, q.now):
		return outsideShift
	case (g.NeedsPIN || q.tier == grant.TierEssential) && !q.ask.PIN:
		return pinNeeded
	}
	return ""
}

// endsAt is when a session that begins now ends at the latest: with the shift, the badge, or the certification without which it would not begin.
func (q question) endsAt() time.Time {
	var end time.Time
	earliest := func(t *time.Time) {
		if t != nil && (end.IsZero() || t.Before(end)) {
			end = *t
		}
	}
	b := q.table.Bundle()
	if b.Terms.SessionSeconds > 0 {
		longest := q.now.Add(time.Duration(b.Terms.SessionSeconds) * time.Second)
		earliest(&longest)
	}
	earliest(b.Terms.EndsAt)
	earliest(q.grant.BadgeUntil)
	earliest(q.grant.NotAfter)
	if in, until := q.table.InShift(q.grant.Shifts, q.now); in && !until.IsZero() {
		earliest(&until)
	}
	for _, p := range q.grant.Phases {
		if p.Until == nil || !q.now.Before(*p.Until) {
			continue
		}
		if said, _ := q.table.AnswerWith(q.grant, q.circumstances(), q.approver, *p.Until); said.Refusal != "" {
			earliest(p.Until)
			break
		}
	}
	return end
}

const minutesOfWeek = 7 * 24 * 60

// inWindow reports whether now is in one of the windows; no windows means always. A window may run over the end of the week.
func inWindow(windows []grant.Window, now time.Time) bool {
	if len(windows) == 0 {
		return true
	}
	minute := grant.MinuteOfWeek(now)
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
