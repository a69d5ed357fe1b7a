package policy

import (
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
}

// weight orders causes: of several that apply, the person is told the one that they can do least about. So "a PIN is needed" is said only
// when a PIN would help.
var weight = []taplinev1.RefusalCause{
	taplinev1.RefusalCause_REFUSAL_CAUSE_PERSON_INACTIVE,
	taplinev1.RefusalCause_REFUSAL_CAUSE_POLICY,
	taplinev1.RefusalCause_REFUSAL_CAUSE_CERTIFICATION,
	taplinev1.RefusalCause_REFUSAL_CAUSE_ASSURANCE,
	taplinev1.RefusalCause_REFUSAL_CAUSE_SHIFT,
	taplinev1.RefusalCause_REFUSAL_CAUSE_ELSEWHERE,
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
}

// Decide answers a request.
func (s *Set) Decide(r Request) Decision {
	verdict, diagnostic := cedar.Authorize(s.at(r.Station), r.entities(), r.cedarRequest())
	d := Decision{Version: s.version}
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
