package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

func policyCommands(o *options) *cobra.Command {
	return noun("policy", "Policy: put, check, show, explain", `Who may work where is a set of Cedar policies. A set is taken only when it
validates against the schema; an error while deciding is a denial and an alarm.`,
		policyPut(o, "put", "Put a policy set in force", false),
		policyPut(o, "check", "Say everything that is wrong with a policy set, and change nothing", true),
		policyShow(o), policyExplain(o), codeExplain(o))
}

func policyPut(o *options, name, short string, dry bool) *cobra.Command {
	var comment string
	c := &cobra.Command{
		Use: name + " FILE", Short: short, Args: cobra.ExactArgs(1),
		Long:    short + ". FILE holds Cedar policies; - reads standard input.",
		Example: "  tapctl policy " + name + " plant.cedar",
		RunE: func(c *cobra.Command, args []string) error {
			text, err := readAll(o.in, args[0])
			if err != nil {
				return err
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.PutPolicy(ctx, &taplinev1.PutPolicyRequest{Text: string(text), DryRun: dry, Comment: comment})
				if err != nil {
					return err
				}
				p := r.GetPolicy()
				if faults := p.GetFaults(); len(faults) > 0 {
					return osservice.Fault(osservice.Refused, fmt.Errorf("%s: %s", args[0], strings.Join(faults, "\n  ")), "nothing was changed")
				}
				return show(c, o, p, "policy %s: %s", p.GetVersion(), map[bool]string{true: "good, not in force", false: "in force"}[dry])
			})
		},
	}
	if !dry {
		c.Flags().StringVar(&comment, "comment", "", "why")
	}
	return c
}

// maxPolicy bounds a policy file; a larger one is a mistake.
const maxPolicy = 1 << 20

func readAll(in io.Reader, path string) ([]byte, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, osservice.Fault(osservice.Usage, err, "name a readable file, or - for standard input")
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxPolicy+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(b) > maxPolicy {
		return nil, usage("%s is larger than %d bytes", path, maxPolicy)
	}
	return b, nil
}

func policyShow(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "show [VERSION]", Short: "Print the policy set in force, or an earlier one", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.GetPolicy(ctx, &taplinev1.GetPolicyRequest{Version: strings.Join(args, "")})
				if err != nil {
					return err
				}
				p := r.GetPolicy()
				return show(c, o, p, "// policy %s, since %s, by %s\n%s", p.GetVersion(), when(p.GetSince()), fallback(p.GetAuthor(), "-"), p.GetText())
			})
		},
	}
}

func policyExplain(o *options) *cobra.Command {
	var assurance uint8
	var at string
	c := &cobra.Command{
		Use: "explain PERSON STATION", Short: "Say what a tap would be answered, and why", Args: cobra.ExactArgs(2),
		Example: "  tapctl policy explain p-1001 plant/press/line-4/hmi-1",
		RunE: func(c *cobra.Command, args []string) error {
			t, err := atTime(at, time.Now())
			if err != nil {
				return err
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.ExplainTap(ctx, &taplinev1.ExplainTapRequest{Person: args[0], Station: args[1], Assurance: taplinev1.Assurance(assurance), At: stamp(t)})
				if err != nil {
					return err
				}
				return show(c, o, r, "%s\n%s", verdict(r.GetDecision()), strings.Join(r.GetNotes(), "\n"))
			})
		},
	}
	c.Flags().Uint8Var(&assurance, "assurance", 1, "assurance of the badge, 0 to 4")
	c.Flags().StringVar(&at, "at", "", "as if it were this time (RFC 3339)")
	return c
}

func verdict(d *taplinev1.Decision) string {
	by := ""
	if len(d.GetRules()) > 0 {
		by = ", by " + strings.Join(d.GetRules(), ", ")
	}
	if d.GetAllowed() {
		return fmt.Sprintf("allowed by policy %s%s", d.GetPolicyVersion(), by)
	}
	return fmt.Sprintf("refused: %s (policy %s%s)", word(d.GetRefusal(), "REFUSAL_CAUSE_"), d.GetPolicyVersion(), by)
}

func codeExplain(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "code CODE", Short: "Say which refused tap a help-desk code stands for, and why it was refused", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.ExplainCode(ctx, &taplinev1.ExplainCodeRequest{Code: strings.ToUpper(args[0])})
				if err != nil {
					return err
				}
				t := r.GetTap()
				return show(c, o, t, "%s  %s  %s: %s", when(t.GetAt()), t.GetStation(), fallback(t.GetPerson(), "unknown badge"), verdict(t.GetDecision()))
			})
		},
	}
}
