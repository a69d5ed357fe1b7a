package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tapline/broker/policy"
	"tapline/installer/osservice"
)

// checked is what policy check says with -o json.
type checked struct {
	File    string        `json:"file"`
	Version string        `json:"version"`
	Good    bool          `json:"good"`
	Faults  policy.Faults `json:"faults"`
	Strange policy.Faults `json:"strange"`
}

func policyCheck(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: "Say everything that is wrong with a policy set; needs no broker", Args: cobra.ExactArgs(1),
		Long: `Validates Cedar policies against the schema as a broker would, and lists every
fault with its line and column. What is allowed and probably not meant, such as a
rule that never decides anything, is listed too and no fault. - reads standard
input. It asks no broker.`,
		Example: "  tapctl policy check plant.cedar",
		RunE: func(c *cobra.Command, args []string) error {
			text, err := readAll(o.in, args[0])
			if err != nil {
				return err
			}
			said := checked{File: args[0], Version: policy.Version(string(text)), Faults: policy.Faults{}, Strange: policy.Faults{}}
			set, err := policy.Load(string(text))
			if err != nil && !errors.As(err, &said.Faults) {
				return err
			}
			if err == nil {
				said.Good, said.Strange = true, append(said.Strange, set.Strange()...)
			}
			if err := said.print(c, o); err != nil {
				return err
			}
			if said.Good {
				return nil
			}
			return osservice.Fault(osservice.Refused, fmt.Errorf("faults in %s: %d", args[0], len(said.Faults)), "correct the lines above; a broker would not take it")
		},
	}
}

func (s checked) print(c *cobra.Command, o *options) error {
	w := c.OutOrStdout()
	if o.output == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(s)
	}
	for _, f := range s.Faults {
		fmt.Fprintf(w, "%s:%s\n", s.File, clean(f.String()))
	}
	for _, f := range s.Strange {
		fmt.Fprintf(w, "%s:%s (strange, and no fault)\n", s.File, clean(f.String()))
	}
	if !s.Good {
		return nil
	}
	_, err := fmt.Fprintf(w, "policy %s: good, not in force\n", s.Version)
	return err
}

func policyTest(o *options) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "test FILE --cases CASES", Short: "Hold a policy set to taps that must be allowed or denied; needs no broker", Args: cobra.ExactArgs(1),
		Long: `Decides each case of CASES (YAML) by the policies in FILE, and says which do not
come out as they must. It asks no broker: people, stations and zones stand in the
file. It ends with 0 when every case does.

  people:
    anna: {roles: [operator], certifications: [press]}
  zones:
    hot: {requires_assurance: 1, pin: {first_of_shift: true}}
  stations:
    plant/press/line-4/hmi-1: {zone: hot, requires_certifications: [press]}
  allow:
    - {person: anna, station: plant/press/line-4/hmi-1, assurance: 1, pin: true}
  deny:
    - {person: anna, station: plant/press/line-4/hmi-1, assurance: 1, because: pin-needed, by: [pin]}

A case may also say: name, action, at, pin_fresh, away, approved, approver, off_shift,
offline, elsewhere, occupant, holder, held.`,
		Example: "  tapctl policy test plant.cedar --cases cases.yaml",
		RunE: func(c *cobra.Command, args []string) error {
			text, err := readAll(o.in, args[0])
			if err != nil {
				return err
			}
			set, err := policy.Load(string(text))
			if err != nil {
				return osservice.Fault(osservice.Refused, fmt.Errorf("%s: %w", args[0], err), "tapctl policy check lists the faults line by line")
			}
			cases, err := readCases(o, path)
			if err != nil {
				return err
			}
			return tested(c, o, set.Try(cases))
		},
	}
	c.Flags().StringVar(&path, "cases", "", "YAML file with the cases; - reads standard input")
	must(c.MarkFlagRequired("cases"))
	return c
}

func readCases(o *options, path string) (*policy.Cases, error) {
	text, err := readAll(o.in, path)
	if err != nil {
		return nil, err
	}
	cases, err := policy.ReadCases(text)
	if err != nil {
		return nil, osservice.Fault(osservice.Usage, fmt.Errorf("%s: %w", path, err), "see tapctl policy test --help for what cases look like")
	}
	if len(cases.Allow)+len(cases.Deny) == 0 {
		return nil, osservice.Fault(osservice.Usage, fmt.Errorf("%s: there is no case", path), "write cases under allow and deny")
	}
	return cases, nil
}

// tested prints what came of the cases. Not one that failed may look as if all had passed.
func tested(c *cobra.Command, o *options, all []policy.Outcome) error {
	failed := 0
	for _, one := range all {
		if !one.OK {
			failed++
		}
	}
	if o.output == "json" {
		e := json.NewEncoder(c.OutOrStdout())
		e.SetIndent("", "  ")
		if err := e.Encode(map[string]any{"passed": len(all) - failed, "failed": failed, "cases": all}); err != nil {
			return err
		}
	} else {
		for _, one := range all {
			if !one.OK {
				fmt.Fprintf(c.OutOrStdout(), "FAIL  %s %d (%s): %s\n", one.List, one.Number, clean(one.Name), clean(one.Problem))
			}
		}
		fmt.Fprintf(c.OutOrStdout(), "%d passed, %d failed\n", len(all)-failed, failed)
	}
	if failed > 0 {
		return osservice.Fault(osservice.Refused, fmt.Errorf("%d of %d cases do not come out as they must", failed, len(all)),
			"correct the policy, or the case: "+strings.Join(failures(all, 3), ", "))
	}
	return nil
}

func failures(all []policy.Outcome, most int) []string {
	var names []string
	for _, one := range all {
		if !one.OK && len(names) < most {
			names = append(names, fmt.Sprintf("%s %d", one.List, one.Number))
		}
	}
	return names
}
