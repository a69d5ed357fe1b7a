package policy

import (
	"bytes"
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
	for i, id := range s.order {
		r := s.rules[id]
		say := func(format string, args ...any) {
			found = append(found, Fault{Line: r.tree.Position.Line, Column: r.tree.Position.Column, Rule: r.name, Problem: fmt.Sprintf(format, args...)})
		}
		permits := r.tree.Effect == xast.EffectPermit
		if permits && r.refusal != taplinev1.RefusalCause_REFUSAL_CAUSE_POLICY {
			say("@refusal on a permit is never told to anybody")
		}
		for j, other := range s.order {
			o := s.rules[other]
			switch {
			case i == j:
			case j < i && same(r.tree, o.tree) && r.tree.Effect == o.tree.Effect:
				say("it says the same as %s", o.name)
			case permits && o.tree.Effect == xast.EffectForbid && same(r.tree, o.tree):
				say("it permits exactly what %s forbids, so it permits nothing", o.name)
			case permits && o.tree.Effect == xast.EffectForbid && len(o.tree.Conditions) == 0 && covers(o.tree, r.tree):
				say("it never permits anything: %s forbids all of it", o.name)
			}
		}
		if !permits && len(r.tree.Conditions) == 0 && everything(r.tree) {
			say("it forbids everything to everybody")
		}
	}
	if !s.permitsOpen() {
		found = append(found, Fault{Problem: "no rule permits openSession: nobody could work"})
	}
	return found
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

// same reports whether two policies differ at most in effect and annotations.
func same(a, b *xast.Policy) bool {
	return bytes.Equal(bare(a), bare(b))
}

func bare(p *xast.Policy) []byte {
	c := *p
	c.Annotations, c.Effect, c.Position = nil, xast.EffectPermit, xast.Position{}
	return cedar.NewPolicyFromAST((*ast.Policy)(&c)).MarshalCedar()
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
