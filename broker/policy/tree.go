package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// reading is what a look at a policy's syntax tells.
type reading struct {
	attributes map[string]bool // of the context that it asks about
	moments    []int           // minutes of the week at which a comparison of the clock changes its outcome
	personal   bool            // it names a person
	exact      bool            // the clock is used in comparisons with numbers only, and the context never as a whole
}

// read looks at the conditions of a policy.
func read(p *xast.Policy) reading {
	r := reading{attributes: map[string]bool{}, exact: true}
	for _, c := range p.Conditions {
		xast.Inspect(xast.NewNode(c.Body), r.visit)
	}
	slices.Sort(r.moments)
	r.moments = slices.Compact(r.moments)
	return r
}

// visit takes note of one node and says whether to go on below it.
func (r *reading) visit(n xast.IsNode) bool {
	if left, right, ok := comparison(n); ok && (r.compare(left, right) || r.compare(right, left)) {
		return false
	}
	if name, of := contextAttribute(n); of {
		r.attributes[name] = true
		r.exact = r.exact && !isClock(name)
		return false
	}
	if v, ok := n.(xast.NodeValue); ok {
		e, entity := v.Value.(cedar.EntityUID)
		r.personal = r.personal || entity && e.Type == "Person"
	}
	r.exact = r.exact && !isContext(n)
	return true
}

// compare notes the moments of a comparison of the clock with a number; false when it is none.
func (r *reading) compare(clock, number xast.IsNode) bool {
	name, ok := contextAttribute(clock)
	v, literal := number.(xast.NodeValue)
	if !ok || !isClock(name) || !literal {
		return false
	}
	n, long := v.Value.(cedar.Long)
	if !long {
		return false
	}
	r.attributes[name] = true
	for _, at := range []int64{int64(n), int64(n) + 1} { // whichever of <, <=, ==, ... it is
		switch {
		case name == "minuteOfWeek" && at >= 0 && at < minutesOfWeek:
			r.moments = append(r.moments, int(at))
		case name == "minuteOfDay" && at >= 0 && at < minutesOfDay:
			for day := range 7 {
				r.moments = append(r.moments, day*minutesOfDay+int(at))
			}
		}
	}
	return true
}

func isClock(attribute string) bool { return attribute == "minuteOfDay" || attribute == "minuteOfWeek" }

func isContext(n xast.IsNode) bool {
	v, ok := n.(xast.NodeTypeVariable)
	return ok && v.Name == "context"
}

// contextAttribute is the attribute of the context that a node asks for.
func contextAttribute(n xast.IsNode) (string, bool) {
	switch n := n.(type) {
	case xast.NodeTypeAccess:
		return string(n.Value), isContext(n.Arg)
	case xast.NodeTypeHas:
		return string(n.Value), isContext(n.Arg)
	}
	return "", false
}

func comparison(n xast.IsNode) (left, right xast.IsNode, ok bool) {
	switch n := n.(type) {
	case xast.NodeTypeLessThan:
		return n.Left, n.Right, true
	case xast.NodeTypeLessThanOrEqual:
		return n.Left, n.Right, true
	case xast.NodeTypeGreaterThan:
		return n.Left, n.Right, true
	case xast.NodeTypeGreaterThanOrEqual:
		return n.Left, n.Right, true
	case xast.NodeTypeEquals:
		return n.Left, n.Right, true
	case xast.NodeTypeNotEquals:
		return n.Left, n.Right, true
	}
	return nil, nil, false
}
