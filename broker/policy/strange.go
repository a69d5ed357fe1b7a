package policy

import (
	"fmt"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/ast"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Strange lists what is allowed in a set and yet probably not meant: rules that never decide anything, rules that contradict one another, and words
// without effect. It compares scopes and texts and proves nothing.
func (s *Set) Strange() Faults {
	var found Faults
	seen := s.compare()
	for _, id := range s.order {
		r := s.rules[id]
		for _, problem := range seen.problems(r) {
			found = append(found, Fault{Line: r.tree.Position.Line, Column: r.tree.Position.Column, Rule: r.name, Problem: problem})
		}
	}
	if !s.permitsOpen() {
		found = append(found, Fault{Problem: "no rule permits openSession: nobody could work"})
	}
	return found
}

// comparison of rules with one another: the first of each text, by what the rule says without its effect and name.
type compared struct {
	texts   map[string]string // by @id
	permits map[string]string // by text, the first rule of it
	forbids map[string]string
	flat    []rule // forbids without conditions
}

// maxFlat bounds how many forbids without conditions each permit is held against.
const maxFlat = 500

func (s *Set) compare() compared {
	c := compared{texts: map[string]string{}, permits: map[string]string{}, forbids: map[string]string{}}
	for _, id := range s.order {
		r := s.rules[id]
		text, first := bare(r.tree), c.permits
		if r.tree.Effect == xast.EffectForbid {
			first = c.forbids
			if len(r.tree.Conditions) == 0 && len(c.flat) < maxFlat {
				c.flat = append(c.flat, r)
			}
		}
		c.texts[r.name] = text
		if first[text] == "" {
			first[text] = r.name
		}
	}
	return c
}

// problems are what is strange about one rule.
func (c compared) problems(r rule) []string {
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	text, permits := c.texts[r.name], r.tree.Effect == xast.EffectPermit
	first := c.forbids[text]
	if permits {
		first = c.permits[text]
	}
	if permits && r.refusal != taplinev1.RefusalCause_REFUSAL_CAUSE_POLICY {
		say("@refusal on a permit is never told to anybody")
	}
	if first != r.name {
		say("it says the same as %s", first)
	}
	if permits && c.forbids[text] != "" {
		say("it permits exactly what %s forbids, so it permits nothing", c.forbids[text])
		return all
	}
	for _, f := range c.flat {
		if permits && covers(f.tree, r.tree) {
			say("it never permits anything: %s forbids all of it", f.name)
			break
		}
	}
	if !permits && len(r.tree.Conditions) == 0 && everything(r.tree) {
		say("it forbids everything to everybody")
	}
	return all
}

// permitsOpen reports whether a permit could apply to openSession.
func (s *Set) permitsOpen() bool {
	for _, r := range s.rules {
		if r.tree.Effect == xast.EffectPermit && inAction(cedar.NewEntityUID("Action", cedar.String(OpenSession)), r.tree.Action) {
			return true
		}
	}
	return false
}

func everything(p *xast.Policy) bool {
	_, who := p.Principal.(xast.ScopeTypeAll)
	_, what := p.Action.(xast.ScopeTypeAll)
	_, where := p.Resource.(xast.ScopeTypeAll)
	return who && what && where
}

// bare is what a policy says, without effect, name and place.
func bare(p *xast.Policy) string {
	c := *p
	c.Annotations, c.Effect, c.Position = nil, xast.EffectPermit, xast.Position{}
	return string(cedar.NewPolicyFromAST((*ast.Policy)(&c)).MarshalCedar())
}

// covers reports whether the scope of wide plainly has that of narrow in it.
func covers(wide, narrow *xast.Policy) bool {
	return inScope(narrow.Principal, wide.Principal) && inScope(narrow.Resource, wide.Resource) && actionsIn(narrow.Action, wide.Action)
}

func inScope(narrow, wide any) bool {
	if _, all := wide.(xast.ScopeTypeAll); all {
		return true
	}
	return narrow == wide // scopes of one entity are comparable values
}

func actionsIn(narrow, wide xast.IsActionScopeNode) bool {
	switch n := narrow.(type) {
	case xast.ScopeTypeEq:
		return inAction(n.Entity, wide)
	case xast.ScopeTypeIn:
		return inAction(n.Entity, wide)
	case xast.ScopeTypeInSet:
		for _, e := range n.Entities {
			if !inAction(e, wide) {
				return false
			}
		}
		return true
	}
	_, all := wide.(xast.ScopeTypeAll)
	return all
}

func inAction(e cedar.EntityUID, wide xast.IsActionScopeNode) bool {
	switch w := wide.(type) {
	case xast.ScopeTypeAll:
		return true
	case xast.ScopeTypeEq:
		return w.Entity == e
	case xast.ScopeTypeIn:
		return w.Entity == e
	case xast.ScopeTypeInSet:
		for _, one := range w.Entities {
			if one == e {
				return true
			}
		}
	}
	return false
}
