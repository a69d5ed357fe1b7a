package policy

import (
	"crypto/sha256"
	_ "embed" // for the schema and the default set
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
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
	// general apply everywhere; a policy whose scope names one zone or one station is looked at only there.
	general  slice
	zones    map[string]slice
	stations map[string]slice
}

// slice is some of the policies.
type slice map[cedar.PolicyID]*cedar.Policy

// rule is what we know of a policy beside Cedar.
type rule struct {
	name    string
	refusal taplinev1.RefusalCause
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

// Faults are what is wrong with a text.
type Faults []string

// Error lists them all.
func (f Faults) Error() string { return strings.Join(f, "; ") }

// Load parses and validates a set. The error is Faults and lists everything that is wrong.
func Load(text string) (*Set, error) {
	if len(text) > MaxText {
		return nil, Faults{fmt.Sprintf("%d bytes, limit %d", len(text), MaxText)}
	}
	if n := longest(text); n > MaxPolicy {
		return nil, Faults{fmt.Sprintf("a policy of %d bytes, limit %d: make several of it", n, MaxPolicy)}
	}
	list, err := cedar.NewPolicyListFromBytes("policy", []byte(text))
	if err != nil {
		return nil, Faults{err.Error()}
	}
	check, err := validator()
	if err != nil {
		return nil, err
	}
	s := &Set{
		version: Version(text), text: text, rules: map[cedar.PolicyID]rule{},
		general: slice{}, zones: map[string]slice{}, stations: map[string]slice{},
	}
	var faults Faults
	for i, p := range list {
		faults = append(faults, s.take(i, p, check)...)
	}
	if len(list) == 0 {
		faults = append(faults, "there is no policy: nobody could work")
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return s, nil
}

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

// take adds one policy to its slice.
func (s *Set) take(i int, p *cedar.Policy, check *validate.Validator) Faults {
	r := rule{name: fmt.Sprintf("policy%d", i), refusal: taplinev1.RefusalCause_REFUSAL_CAUSE_POLICY}
	notes := p.Annotations()
	if id, ok := notes["id"]; ok {
		r.name = string(id)
	}
	id := cedar.PolicyID(r.name)
	var faults Faults
	if !goodName(r.name) {
		faults = append(faults, fmt.Sprintf("%s: @id must be 1 to 64 letters, digits, dots, dashes or underscores", r.name))
	}
	if _, twice := s.rules[id]; twice {
		faults = append(faults, fmt.Sprintf("%s: two policies have this @id", r.name))
	}
	if word, ok := notes["refusal"]; ok {
		r.refusal, ok = causes[string(word)]
		if !ok {
			faults = append(faults, fmt.Sprintf("%s: @refusal(%q) is not known", r.name, string(word)))
		}
	}
	tree := (*xast.Policy)(p.AST())
	if err := check.Policy(r.name, tree); err != nil {
		faults = append(faults, flatten(err)...)
	}
	s.rules[id] = r
	s.sliceOf(tree)[id] = p
	return faults
}

// sliceOf is where a policy belongs. A scope that names a zone or a station keeps the policy from ever applying elsewhere, so leaving it
// out there changes no decision.
func (s *Set) sliceOf(p *xast.Policy) slice {
	var at cedar.EntityUID
	switch scope := p.Resource.(type) {
	case xast.ScopeTypeEq:
		at = scope.Entity
	case xast.ScopeTypeIn:
		at = scope.Entity
	case xast.ScopeTypeIsIn:
		at = scope.Entity
	}
	place := map[cedar.EntityType]map[string]slice{"Zone": s.zones, "Station": s.stations}[at.Type]
	if place == nil {
		return s.general
	}
	if place[string(at.ID)] == nil {
		place[string(at.ID)] = slice{}
	}
	return place[string(at.ID)]
}

// at is the policies that can apply at a station.
func (s *Set) at(station *taplinev1.Station) cedar.PolicyIterator {
	return union{s.general, s.zones[station.GetZone()], s.stations[station.GetId()]}
}

type union [3]slice

// All gives every policy of the slices.
func (all union) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, one := range all {
			for id, p := range one {
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

func flatten(err error) Faults {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return Faults{err.Error()}
	}
	var all Faults
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}
