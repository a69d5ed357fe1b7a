package agent

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/agent/session"
	"tapline/agent/station"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// The words of records are those of the schema's enumerations: END_CAUSE_TAP_OUT is "tap-out".

const (
	refusalPrefix = "REFUSAL_CAUSE_"
	causePrefix   = "END_CAUSE_"
)

func word(name, prefix string) record.Reason {
	return record.Reason(strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, prefix)), "_", "-"))
}

func enumName(w record.Reason, prefix string) string {
	return prefix + strings.ReplaceAll(strings.ToUpper(string(w)), "-", "_")
}

// refusalWord is a refusal as records spell it; "policy" when the broker did not say.
func refusalWord(c taplinev1.RefusalCause) record.Reason {
	if c == taplinev1.RefusalCause_REFUSAL_CAUSE_UNSPECIFIED {
		return "policy"
	}
	return word(c.String(), refusalPrefix)
}

// refusalName is refusalWord of a refusal that a bundle names, in either spelling.
func refusalName(name record.Reason) record.Reason {
	if name == "" {
		return ""
	}
	return word(string(name), refusalPrefix)
}

func refusalOf(w record.Reason) taplinev1.RefusalCause {
	return taplinev1.RefusalCause(taplinev1.RefusalCause_value[enumName(w, refusalPrefix)])
}

// causeOf is the cause of an end on the wire; what has no word there was ended by the broker's side or came too late.
func causeOf(w record.Reason) taplinev1.EndCause {
	if c := taplinev1.EndCause(taplinev1.EndCause_value[enumName(w, causePrefix)]); c != taplinev1.EndCause_END_CAUSE_UNSPECIFIED {
		return c
	}
	return taplinev1.EndCause_END_CAUSE_AGENT_STOPPED
}

// causeWord is a cause of the broker's as records spell it.
func causeWord(c taplinev1.EndCause) record.Reason {
	if c == taplinev1.EndCause_END_CAUSE_UNSPECIFIED {
		return session.RevokedCause
	}
	return word(c.String(), causePrefix)
}

func modeOf(m record.Mode) taplinev1.Mode {
	return taplinev1.Mode(taplinev1.Mode_value["MODE_"+strings.ToUpper(string(m))])
}

// modeWord is a mode as records spell it; empty for none.
func modeWord(m taplinev1.Mode) record.Mode {
	if m == taplinev1.Mode_MODE_UNSPECIFIED {
		return ""
	}
	return record.Mode(word(m.String(), "MODE_"))
}

func personOf(p *taplinev1.Person) session.Person {
	return session.Person{ID: record.PersonID(p.GetId()), Name: p.GetDisplayName(), Language: p.GetLanguage(), Roles: p.GetRoles()}
}

func toPerson(p session.Person) *taplinev1.Person {
	if p.ID == "" {
		return nil
	}
	return &taplinev1.Person{Id: string(p.ID), DisplayName: p.Name, Language: p.Language, Roles: p.Roles}
}

// factorsOf are the factors as records spell them.
func factorsOf(list []taplinev1.Factor) []string {
	var words []string
	for _, f := range list {
		if f != taplinev1.Factor_FACTOR_UNSPECIFIED {
			words = append(words, string(word(f.String(), "FACTOR_")))
		}
	}
	return words
}

// presenceOf is what programs on the station see. A session whose record is not durable yet does not name anybody: the time counts as unattributed.
func presenceOf(station record.StationID, who session.Presence, mode record.Mode, durable bool) *taplinev1.Presence {
	p := &taplinev1.Presence{State: taplinev1.PresenceState_PRESENCE_STATE_IDLE, Mode: modeOf(mode), Station: string(station)}
	if e := who.Emergency; e.ID != "" {
		p.State, p.Emergency, p.Since, p.EndsAt, p.DecidedBy = taplinev1.PresenceState_PRESENCE_STATE_EMERGENCY, toEmergency(e), stamp(e.Since), stamp(e.EndsAt), "emergency"
		return p
	}
	if who.Session == "" {
		if who.Used != "" {
			p.State, p.Since = taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED, stamp(who.Since)
		}
		return p
	}
	p.State = taplinev1.PresenceState_PRESENCE_STATE_NAMED
	if !durable {
		p.State = taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED
	}
	p.Second = toPerson(who.Second)
	p.Person, p.Session, p.Account = toPerson(who.Person), string(who.Session), string(who.Account)
	p.Since, p.EndsAt = stamp(who.Since), stamp(who.EndsAt)
	p.Assurance, p.Mode, p.DecidedBy = taplinev1.Assurance(who.Assurance), modeOf(who.Mode), who.By
	return p
}

func toEmergency(e session.Emergency) *taplinev1.Emergency {
	return &taplinev1.Emergency{
		Id: string(e.ID), Reason: string(e.Reason), Since: stamp(e.Since), EndsAt: stamp(e.EndsAt), ClaimBy: stamp(e.ClaimBy),
		Missing: uint32(max(0, e.Missing)), Overdue: e.Overdue, //nolint:gosec // two at most
	}
}

func toEmergencies(list []session.Emergency) []*taplinev1.Emergency {
	var out []*taplinev1.Emergency
	for _, e := range list {
		out = append(out, toEmergency(e))
	}
	return out
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func toNotice(n session.Notice) *taplinev1.Notice {
	kinds := map[session.NoticeKind]taplinev1.NoticeKind{
		session.Refused: taplinev1.NoticeKind_NOTICE_KIND_REFUSED, session.CannotRead: taplinev1.NoticeKind_NOTICE_KIND_UNREADABLE,
		session.AlreadyHere: taplinev1.NoticeKind_NOTICE_KIND_ALREADY_HERE, session.IdleWarning: taplinev1.NoticeKind_NOTICE_KIND_IDLE_WARNING,
		session.ReaderChanged: taplinev1.NoticeKind_NOTICE_KIND_READER, session.Deciding: taplinev1.NoticeKind_NOTICE_KIND_DECIDING,
		session.CardGone: taplinev1.NoticeKind_NOTICE_KIND_CARD_GONE, session.PINNeeded: taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED,
		session.SecondNeeded: taplinev1.NoticeKind_NOTICE_KIND_SECOND_PERSON_NEEDED, session.EndNear: taplinev1.NoticeKind_NOTICE_KIND_END_NEAR,
		session.Ended: taplinev1.NoticeKind_NOTICE_KIND_ENDED, session.JournalChanged: taplinev1.NoticeKind_NOTICE_KIND_JOURNAL,
		session.ModeNotice: taplinev1.NoticeKind_NOTICE_KIND_MODE,
		session.ClaimTap:   taplinev1.NoticeKind_NOTICE_KIND_CLAIM_TAP, session.Claimed: taplinev1.NoticeKind_NOTICE_KIND_CLAIMED,
		session.Unanswered: taplinev1.NoticeKind_NOTICE_KIND_EMERGENCY_UNCLAIMED,
	}
	out := &taplinev1.Notice{
		Kind: kinds[n.Kind], HelpCode: n.HelpCode, Person: toPerson(n.Person),
		Emergency: string(n.Emergency), Missing: uint32(max(0, n.Missing)), SamePerson: n.Reason == session.SamePerson, //nolint:gosec // two at most
	}
	switch n.Kind {
	case session.Refused, session.PINNeeded, session.SecondNeeded:
		if out.Refusal = refusalOf(n.Reason); out.Refusal == taplinev1.RefusalCause_REFUSAL_CAUSE_UNSPECIFIED {
			out.Reason = string(n.Reason)
		}
	case session.EndNear, session.Ended:
		out.Cause = causeOf(n.Reason)
	case session.ModeNotice:
		if n.Reason != station.AsConfigured {
			out.Reason = string(n.Reason)
		}
	case session.JournalChanged:
		out.Reason = string(n.Reason)
	}
	out.Session, out.AnswerBy, out.Lasts = string(n.Session), stamp(n.Until), length(n.Lasts)
	return out
}

// length is a duration on the wire; nil for none.
func length(d time.Duration) *durationpb.Duration {
	if d <= 0 {
		return nil
	}
	return durationpb.New(d)
}
