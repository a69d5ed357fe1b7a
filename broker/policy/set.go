package policy

import (
	"crypto/sha256"
	_ "embed" // for the schema and the default set
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/cedar-policy/cedar-go"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
)

//go:embed schema.cedarschema
var schemaText string

//go:embed default.cedar
var defaultText string

// Schema is the Cedar schema that policies must fit.
func Schema() string { return schemaText }

// Default is the set that a new broker starts with.
func Default() string { return defaultText }

// MaxText is the longest text of a set, in bytes.
const MaxText = 1 << 20

// Set is a loaded set of policies. It does not change and is safe for concurrent use.
type Set struct {
	version string
	text    string
	rules   map[cedar.PolicyID]rule
	order   []cedar.PolicyID // as they stand in the text
	// general apply everywhere; a policy whose scope names one zone or one station is looked at only there.
	general  slice
	zones    map[string]slice
	stations map[string]slice
	asks     map[string]bool // attributes of the context that any rule asks about
	moments  []int           // minutes of the week at which a rule's look at the clock changes its outcome
	exact    bool            // moments are all there are
	personal bool            // a rule names a person
	broken   string          // why the set decides nothing; empty for a good one
}

// slice is some of the policies.
type slice map[cedar.PolicyID]*cedar.Policy

// rule is what we know of a policy beside Cedar.
type rule struct {
	name    string
	refusal taplinev1.RefusalCause
	wide    bool // it permits every action, and so not those that have to be named
	tree    *xast.Policy
}

// Version is the version of a text: the first 12 hex digits of its SHA-256.
func Version(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// Version is the set's version.
func (s *Set) Version() string { return s.version }

// Text is what the set was loaded from.
func (s *Set) Text() string { return s.text }

// Rules names the rules, in the order of the text.
func (s *Set) Rules() []string {
	names := make([]string, len(s.order))
	for i, id := range s.order {
		names[i] = string(id)
	}
	return names
}

// Asks reports whether any rule asks about an attribute of the context.
func (s *Set) Asks(attribute string) bool { return s.asks[attribute] }

// Broken is a set that refuses everything with an error: it stands for one that should decide and does not load.
func Broken(version, why string) *Set {
	return &Set{version: version, broken: why, exact: true}
}

// Load parses and validates a set that somebody wants in force. The error is Faults and lists everything that is wrong.
func Load(text string) (*Set, error) { return loadSet(text, true) }

// LoadStored is Load for a set that was in force before: what an earlier version took and this one would not take anew still decides.
func LoadStored(text string) (*Set, error) { return loadSet(text, false) }

func loadSet(text string, strict bool) (*Set, error) {
	if len(text) > MaxText {
		return nil, Faults{{Problem: fmt.Sprintf("%d bytes, limit %d", len(text), MaxText)}}
	}
	if n, from := longest(text); n > MaxPolicy {
		at := place(text, from)
		return nil, Faults{{Line: at.line, Column: at.column, Problem: fmt.Sprintf("a policy of %d bytes, limit %d: make several of it", n, MaxPolicy)}}
	}
	list, err := cedar.NewPolicyListFromBytes("policy", []byte(text))
	if err != nil {
		return nil, Faults{parseFault(err)}
	}
	check, err := validator()
	if err != nil {
		return nil, err
	}
	s := &Set{
		version: Version(text), text: text, rules: map[cedar.PolicyID]rule{}, asks: map[string]bool{}, exact: true,
		general: slice{}, zones: map[string]slice{}, stations: map[string]slice{},
	}
	l := loader{Set: s, check: check, strict: strict}
	for i, p := range list {
		if len(l.faults) >= maxFaults {
			break
		}
		end := len(text)
		if i+1 < len(list) {
			end = list[i+1].Position().Offset
		}
		l.take(i, p, end)
	}
	if len(list) == 0 {
		l.faults = append(l.faults, Fault{Problem: "there is no policy: nobody could work"})
	}
	slices.Sort(s.moments)
	s.moments = slices.Compact(s.moments)
	if len(s.moments) > maxMoments {
		s.moments, s.exact = nil, false
		if strict {
			l.faults = append(l.faults, Fault{Problem: fmt.Sprintf("the rules look at the clock at more than %d different times of the week", maxMoments)})
		}
	}
	if len(l.faults) > maxFaults {
		l.faults = append(l.faults[:maxFaults:maxFaults], Fault{Problem: fmt.Sprintf("and more: only the first %d are listed", maxFaults)})
	}
	if len(l.faults) > 0 {
		return nil, l.faults
	}
	return s, nil
}

// Bounds of a set. Each moment is asked about for each kind of person when a bundle is made.
const (
	maxFaults  = 200
	maxMoments = 7 * 96
)

func validator() (*validate.Validator, error) {
	var s schema.Schema
	if err := s.UnmarshalCedar([]byte(schemaText)); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	resolved, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return validate.New(resolved, validate.WithStrict()), nil
}

// loader makes a set.
type loader struct {
	*Set
	check  *validate.Validator
	strict bool
	faults Faults
}

// take adds one policy, whose source ends at an offset, to its slice.
func (l *loader) take(i int, p *cedar.Policy, end int) {
	tree := (*xast.Policy)(p.AST())
	r := rule{name: fmt.Sprintf("policy%d", i), refusal: taplinev1.RefusalCause_REFUSAL_CAUSE_POLICY, tree: tree}
	notes := p.Annotations()
	from := p.Position().Offset
	source := l.text[from:max(from, end)]
	fault := func(format string, args ...any) {
		f := Fault{Rule: r.name, Problem: fmt.Sprintf(format, args...)}
		at := pin(l.text, source, from, f.Problem)
		f.Line, f.Column = at.line, at.column
		l.faults = append(l.faults, f)
	}
	given, named := notes["id"]
	if named {
		r.name = string(given)
	}
	id := cedar.PolicyID(r.name)
	switch _, twice := l.rules[id]; {
	case !named && l.strict:
		fault("it has no @id, by which records and answers name it: write @id(\"...\") before it")
	case !goodName(r.name):
		fault("@id must be 1 to 64 letters, digits, dots, dashes or underscores")
	case twice:
		fault("two policies have this @id")
	}
	if word, ok := notes["refusal"]; ok {
		if r.refusal, ok = causes[string(word)]; !ok {
			fault("@refusal(%q) is not known: want one of %s", string(word), strings.Join(Causes(), ", "))
		}
	}
	if err := l.check.Policy(r.name, tree); err != nil {
		for _, problem := range flatten(err) {
			fault("%s", strings.TrimPrefix(problem, fmt.Sprintf("for policy `%s`, ", r.name)))
		}
	}
	seen := read(tree)
	if !seen.exact && l.strict {
		fault("compare `context.minuteOfDay` and `context.minuteOfWeek` with numbers, and use context by its attributes: " +
			"stations that decide alone need to know when the answer changes")
	}
	for a := range seen.attributes {
		l.asks[a] = true
	}
	l.personal = l.personal || seen.personal || scopeEntity(tree.Principal).Type == "Person"
	l.moments, l.exact = append(l.moments, seen.moments...), l.exact && seen.exact
	_, all := tree.Action.(xast.ScopeTypeAll)
	r.wide = all && tree.Effect == xast.EffectPermit
	if _, twice := l.rules[id]; !twice {
		l.order = append(l.order, id)
	}
	l.rules[id] = r
	l.sliceOf(tree)[id] = p
}

// sliceOf is where a policy belongs. A scope that names a zone or a station keeps the policy from ever applying elsewhere, so leaving it
// out there changes no decision.
func (s *Set) sliceOf(p *xast.Policy) slice {
	at := scopeEntity(p.Resource)
	place := map[cedar.EntityType]map[string]slice{"Zone": s.zones, "Station": s.stations}[at.Type]
	if place == nil {
		return s.general
	}
	if place[string(at.ID)] == nil {
		place[string(at.ID)] = slice{}
	}
	return place[string(at.ID)]
}

// scopeEntity is the one entity that a scope names; none for a scope that names none.
func scopeEntity(s any) cedar.EntityUID {
	switch scope := s.(type) {
	case xast.ScopeTypeEq:
		return scope.Entity
	case xast.ScopeTypeIn:
		return scope.Entity
	case xast.ScopeTypeIsIn:
		return scope.Entity
	}
	return cedar.EntityUID{}
}

// at is the policies that can apply at a station to an action.
func (s *Set) at(station *taplinev1.Station, action Action) cedar.PolicyIterator {
	u := union{slices: [3]slice{s.general, s.zones[station.GetZone()], s.stations[station.GetId()]}}
	if action.named() {
		u.rules = s.rules
	}
	return u
}

// union is several slices. With rules it leaves out those that are wide.
type union struct {
	slices [3]slice
	rules  map[cedar.PolicyID]rule
}

// All gives every policy of the slices.
func (u union) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, one := range u.slices {
			for id, p := range one {
				if u.rules[id].wide {
					continue
				}
				if !yield(id, p) {
					return
				}
			}
		}
	}
}

func goodName(s string) bool {
	const word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return s != "" && len(s) <= 64 && strings.Trim(s, word) == ""
}

func flatten(err error) []string {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return []string{err.Error()}
	}
	var all []string
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}
