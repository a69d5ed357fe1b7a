package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"tapline/proto/record"
)

// Cases are taps that a policy set must allow or must refuse, with the people, stations and zones that they speak of. tapctl policy test reads them
// from YAML.
type Cases struct {
	People   map[string]CasePerson  `yaml:"people"`
	Stations map[string]CaseStation `yaml:"stations"`
	Zones    map[string]CaseZone    `yaml:"zones"`
	Allow    []Case                 `yaml:"allow"`
	Deny     []Case                 `yaml:"deny"`
}

// CasePerson is a person as cases write one. Every certification is valid.
type CasePerson struct {
	Roles          []string `yaml:"roles"`
	Certifications []string `yaml:"certifications"`
	Shifts         []string `yaml:"shifts"`
	Seniority      uint32   `yaml:"seniority"`
	Suspended      bool     `yaml:"suspended"`
}

// CaseStation is a station as cases write one.
type CaseStation struct {
	Zone           string   `yaml:"zone"`
	Account        string   `yaml:"account"`
	Certifications []string `yaml:"requires_certifications"`
	Assurance      uint8    `yaml:"requires_assurance"`
	Mode           string   `yaml:"mode"`
}

// CaseZone is a zone as cases write one.
type CaseZone struct {
	Certifications []string `yaml:"requires_certifications"`
	Assurance      uint8    `yaml:"requires_assurance"`
	Mode           string   `yaml:"mode"`
	Safety         bool     `yaml:"safety"`
	PIN            struct {
		Always       bool   `yaml:"always"`
		FirstOfShift bool   `yaml:"first_of_shift"`
		WeakBelow    uint8  `yaml:"weak_below"`
		AfterIdle    string `yaml:"after_idle"` // such as 8h
	} `yaml:"pin"`
}

// Case is one tap.
type Case struct {
	Name      string    `yaml:"name"`
	Action    Action    `yaml:"action"` // openSession unless said otherwise
	Person    string    `yaml:"person"`
	Station   string    `yaml:"station"`
	At        time.Time `yaml:"at"` // Monday 2024-01-01 08:00 UTC unless said otherwise
	Assurance uint8     `yaml:"assurance"`
	PIN       bool      `yaml:"pin"`
	PINFresh  bool      `yaml:"pin_fresh"`
	Away      string    `yaml:"away"` // since the person was last at the station; not said means never there
	Approved  bool      `yaml:"approved"`
	Approver  string    `yaml:"approver"` // who it was; implies approved
	OffShift  bool      `yaml:"off_shift"`
	Offline   bool      `yaml:"offline"`
	Elsewhere []string  `yaml:"elsewhere"`
	Occupant  string    `yaml:"occupant"`
	Holder    string    `yaml:"holder"` // of the account, for displaceSession
	Held      int       `yaml:"held"`   // sessions at other stations that hold the account
	Because   string    `yaml:"because"`
	By        []string  `yaml:"by"` // rules that must be among those that decide
}

// Limits of cases.
const (
	MaxCases    = 256 << 10 // bytes of YAML
	maxNesting  = 16
	maxLine     = 4096
	defaultCase = "2024-01-01T08:00:00Z"
)

// ReadCases reads cases. An unknown key is an error; errors name line and column.
func ReadCases(text []byte) (*Cases, error) {
	if len(text) > MaxCases {
		return nil, fmt.Errorf("%d bytes, limit %d", len(text), MaxCases)
	}
	if err := shallow(text); err != nil {
		return nil, err
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, yamlError(err)
	}
	var aliases aliasFinder
	for _, doc := range file.Docs {
		if doc.Body != nil {
			ast.Walk(&aliases, doc.Body)
		}
	}
	if aliases.found {
		return nil, errors.New("aliases (&, *) are not taken: write it out")
	}
	c := &Cases{}
	if err := yaml.UnmarshalWithOptions(text, c, yaml.Strict()); err != nil {
		return nil, yamlError(err)
	}
	return c, c.check()
}

// yamlError is an error with its place on one line.
func yamlError(err error) error {
	text := yaml.FormatError(err, false, false)
	return errors.New(strings.Join(strings.Fields(text), " "))
}

// shallow refuses brackets and indents so deep that a parser that calls itself for each would end the program.
func shallow(text []byte) error {
	depth := 0
	for i, line := range strings.Split(string(text), "\n") {
		if len(line) > maxLine { // the parser's time grows with the square of some of them
			return fmt.Errorf("line %d: longer than %d bytes", i+1, maxLine)
		}
		if indent := len(line) - len(strings.TrimLeft(line, " -?")); indent > 8*maxNesting {
			return fmt.Errorf("nested deeper than %d", maxNesting)
		}
		for _, c := range line {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth--
			}
			if depth > maxNesting {
				return fmt.Errorf("nested deeper than %d", maxNesting)
			}
		}
	}
	return nil
}

// aliasFinder looks for anchors and aliases: a few lines of them can stand for gigabytes.
type aliasFinder struct{ found bool }

// Visit looks at a node.
func (a *aliasFinder) Visit(n ast.Node) ast.Visitor {
	switch n.Type() {
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType:
		a.found = true
	}
	return a
}

// check holds that what a case names is there.
func (c *Cases) check() error {
	for id, s := range c.Stations {
		if !record.StationID(id).Valid() {
			return fmt.Errorf("stations: %.80q is not site/area/line/station", id)
		}
		if s.Zone != "" {
			if _, ok := c.Zones[s.Zone]; !ok {
				return fmt.Errorf("stations: %s: zone %.80q is not among the zones", id, s.Zone)
			}
		}
		if _, err := modeOf(s.Mode); err != nil {
			return fmt.Errorf("stations: %s: %w", id, err)
		}
	}
	for id, z := range c.Zones {
		_, err := modeOf(z.Mode)
		if err == nil {
			_, err = span("pin.after_idle", z.PIN.AfterIdle)
		}
		if err != nil {
			return fmt.Errorf("zones: %.80q: %w", id, err)
		}
	}
	for list, cases := range map[string][]Case{"allow": c.Allow, "deny": c.Deny} {
		for i, one := range cases {
			if err := c.checkCase(one, list); err != nil {
				return fmt.Errorf("%s: case %d: %w", list, i+1, err)
			}
		}
	}
	return nil
}

func (c *Cases) checkCase(one Case, list string) error {
	people := map[string]string{"person": one.Person}
	for field, id := range map[string]string{"occupant": one.Occupant, "holder": one.Holder, "approver": one.Approver} {
		if id != "" {
			people[field] = id
		}
	}
	for field, id := range people {
		if _, ok := c.People[id]; !ok {
			return fmt.Errorf("%s: %.80q is not among the people", field, id)
		}
	}
	if _, err := span("away", one.Away); err != nil {
		return err
	}
	_, because := causes[one.Because]
	switch {
	case !hasKey(c.Stations, one.Station):
		return fmt.Errorf("station: %.80q is not among the stations", one.Station)
	case one.Assurance > 4:
		return errors.New("assurance: 0 to 4")
	case one.Action != "" && !slices.Contains([]Action{OpenSession, ExtendSession, WorkOffline, MoveSession, DisplaceSession}, one.Action):
		return fmt.Errorf("action: %.40q is none of openSession, extendSession, workOffline, moveSession, displaceSession", string(one.Action))
	case (one.Action == DisplaceSession) != (one.Holder != ""):
		return errors.New("holder: displaceSession needs one, nothing else does")
	case one.Because != "" && list == "allow":
		return errors.New("because: only for a tap that is denied")
	case one.Because != "" && !because:
		return fmt.Errorf("because: %.40q is none of %s", one.Because, strings.Join(Causes(), ", "))
	}
	return nil
}

// span reads a span of time; none is zero.
func span(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s: %.40q is no span of time such as 8h", field, text)
	}
	return d, nil
}

func hasKey[V any](m map[string]V, k string) bool { _, ok := m[k]; return ok }

func modeOf(word string) (taplinev1.Mode, error) {
	if word == "" {
		return taplinev1.Mode_MODE_UNSPECIFIED, nil
	}
	m, ok := taplinev1.Mode_value["MODE_"+strings.ToUpper(word)]
	if !ok || m == 0 {
		return 0, fmt.Errorf("mode: %.40q is none of attribute, gate, lock, signin", word)
	}
	return taplinev1.Mode(m), nil
}
