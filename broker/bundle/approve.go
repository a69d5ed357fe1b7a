package bundle

import (
	"maps"
	"slices"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/policy"
	"tapline/proto/grant"
)

// maxApprovers bounds how many classes of approvers a bundle tells apart: every grant is worked out for each. Where there are more, as where rules name
// people, approvals need the broker.
const maxApprovers = 16

// findApprovers puts those who could approve into classes, where a rule looks at it. Somebody whose certifications lapse while the bundle is good is in none.
func (w *worker) findApprovers() {
	if !w.set.Exact() || !w.set.AsksApprover() {
		return
	}
	found := map[string]*taplinev1.PersonEntry{}
	for _, b := range w.roll.badges {
		if p := w.roll.people[b.Person]; p != nil && w.steady(p) && len(found) <= maxApprovers {
			found[w.forecast.ApproverKey(p, w.now)] = p
		}
	}
	if len(found) > maxApprovers {
		return
	}
	w.classes = map[string]int{}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		w.approvers = append(w.approvers, found[key])
		w.classes[key] = len(w.approvers)
	}
}

// steady reports whether what the policy sees in a person who approves stays the same for as long as the bundle is good.
func (w *worker) steady(p *taplinev1.PersonEntry) bool {
	return !p.GetSuspended() && len(w.lapses(p)) == 0
}

// class is that of a person as an approver; 0 for none.
func (w *worker) class(p *taplinev1.PersonEntry) int {
	if len(w.classes) == 0 || !w.steady(p) {
		return 0
	}
	return w.classes[w.forecast.ApproverKey(p, w.now)]
}

// phase is a time in which nothing changes, with what each class of approvers makes of it.
func (w *worker) phase(r policy.Request, certified time.Time) grant.Phase {
	p := w.forecast.Phase(r, certified)
	for _, by := range w.approvers {
		p.Approved = append(p.Approved, w.forecast.Approved(r, certified, by))
	}
	return p
}
