package policy

import (
	"maps"
	"slices"
	"strings"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/cedar-policy/cedar-go"
)

// causes are the words that @refusal takes.
var causes = map[string]taplinev1.RefusalCause{
	"policy":          taplinev1.RefusalCause_REFUSAL_CAUSE_POLICY,
	"person-inactive": taplinev1.RefusalCause_REFUSAL_CAUSE_PERSON_INACTIVE,
	"certification":   taplinev1.RefusalCause_REFUSAL_CAUSE_CERTIFICATION,
	"assurance":       taplinev1.RefusalCause_REFUSAL_CAUSE_ASSURANCE,
	"shift":           taplinev1.RefusalCause_REFUSAL_CAUSE_SHIFT,
	"elsewhere":       taplinev1.RefusalCause_REFUSAL_CAUSE_ELSEWHERE,
	"approval-needed": taplinev1.RefusalCause_REFUSAL_CAUSE_APPROVAL_NEEDED,
	"pin-needed":      taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_NEEDED,

	"second-person-needed": taplinev1.RefusalCause_REFUSAL_CAUSE_SECOND_PERSON_NEEDED,
}

// Causes are the words that @refusal takes, sorted.
func Causes() []string { return slices.Sorted(maps.Keys(causes)) }

// weight orders causes: of several that apply, the person is told the one that they can do least about. So "a PIN is needed" is said only
// when a PIN would help.
var weight = []taplinev1.RefusalCause{
	taplinev1.RefusalCause_REFUSAL_CAUSE_PERSON_INACTIVE,
	taplinev1.RefusalCause_REFUSAL_CAUSE_POLICY,
	taplinev1.RefusalCause_REFUSAL_CAUSE_CERTIFICATION,
	taplinev1.RefusalCause_REFUSAL_CAUSE_ASSURANCE,
	taplinev1.RefusalCause_REFUSAL_CAUSE_SHIFT,
	taplinev1.RefusalCause_REFUSAL_CAUSE_ELSEWHERE,
	taplinev1.RefusalCause_REFUSAL_CAUSE_SECOND_PERSON_NEEDED,
	taplinev1.RefusalCause_REFUSAL_CAUSE_APPROVAL_NEEDED,
	taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_NEEDED,
}

// Decision is the answer.
type Decision struct {
	Allowed bool
	Refusal taplinev1.RefusalCause // unspecified when allowed
	Version string
	Rules   []string // that decided, sorted
	Errors  []string // of evaluation: not empty means refused, and somebody must look
	// Moves says that the person's sessions at other stations end with this one's begin.
	Moves bool
}

// Decide answers a request.
func (s *Set) Decide(r Request) Decision { return s.decide(r, r.clock(), r.entities(r.Tap.At)) }

// Admit answers a tap. Whoever is refused only because they are elsewhere is let in where moveSession is permitted: then the other sessions have to end.
// Explaining, replaying and deciding a tap all go through it.
func (s *Set) Admit(r Request) Decision {
	r.Action = OpenSession
	d := s.Decide(r)
	if d.Refusal != taplinev1.RefusalCause_REFUSAL_CAUSE_ELSEWHERE {
		return d
	}
	move := r
	move.Action = MoveSession
	m := s.Decide(move)
	if len(m.Errors) > 0 {
		return m
	}
	if !m.Allowed {
		return d
	}
	r.Tap.Elsewhere = nil
	d = s.Decide(r)
	if d.Allowed {
		d.Moves = true
		d.Rules = merge(d.Rules, m.Rules)
	}
	return d
}

// Displace answers whether a person may end the session of the account's holder. Its rules are those that the record names beside those of the tap.
func (s *Set) Displace(r Request, holder *taplinev1.PersonEntry) Decision {
	r.Action, r.Tap.Holder = DisplaceSession, holder
	return s.Decide(r)
}

func merge(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// decide answers a request as if the clock were c, and the world these entities.
func (s *Set) decide(r Request, c clock, world cedar.EntityMap) Decision {
	d := Decision{Version: s.version}
	if s.broken != "" {
		d.Refusal, d.Errors = taplinev1.RefusalCause_REFUSAL_CAUSE_POLICY_ERROR, []string{s.broken}
		return d
	}
	verdict, diagnostic := cedar.Authorize(s.at(r.Station, r.Action), world, r.cedarRequest(c))
	for _, e := range diagnostic.Errors {
		d.Errors = append(d.Errors, s.rules[e.PolicyID].name+": "+e.Message)
	}
	if len(d.Errors) > 0 {
		// Cedar passes over a policy that errs. If that was a forbid, passing over it would let somebody in.
		slices.Sort(d.Errors)
		d.Refusal = taplinev1.RefusalCause_REFUSAL_CAUSE_POLICY_ERROR
		return d
	}
	heaviest := len(weight)
	for _, why := range diagnostic.Reasons {
		rule := s.rules[why.PolicyID]
		d.Rules = append(d.Rules, rule.name)
		heaviest = min(heaviest, slices.Index(weight, rule.refusal))
	}
	slices.Sort(d.Rules)
	if verdict == cedar.Allow {
		d.Allowed = true
		return d
	}
	d.Refusal = taplinev1.RefusalCause_REFUSAL_CAUSE_POLICY // nothing permits it
	if len(d.Rules) > 0 {
		d.Refusal = weight[heaviest]
	}
	return d
}

// RefusalWord is a cause as records and bundles spell it, such as "badge-revoked"; empty for none.
func RefusalWord(c taplinev1.RefusalCause) string {
	name, ok := taplinev1.RefusalCause_name[int32(c)]
	if !ok || c == taplinev1.RefusalCause_REFUSAL_CAUSE_UNSPECIFIED {
		return ""
	}
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "REFUSAL_CAUSE_")), "_", "-")
}
