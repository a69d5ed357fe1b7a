package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	taplinev1 "tapline/proto/tapline/v1"
)

func policyExplain(o *options) *cobra.Command {
	var assurance uint8
	var at string
	req := &taplinev1.ExplainTapRequest{}
	c := &cobra.Command{
		Use: "explain PERSON STATION", Short: "Say what a tap would be answered, and why", Args: cobra.ExactArgs(2),
		Long: `Says what a tap would be answered: which rules decide, what is known of the person,
the station and its zone, and what would change the answer. Nothing happens.`,
		Example: `  tapctl policy explain p-1001 plant/press/line-4/hmi-1
  tapctl policy explain p-1001 plant/press/line-4/hmi-1 --at 2026-11-29T03:00:00Z --assurance 3 --pin`,
		RunE: func(c *cobra.Command, args []string) error {
			t, err := atTime(at, time.Now())
			if err != nil {
				return err
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				req.Person, req.Station, req.Assurance, req.At = args[0], args[1], taplinev1.Assurance(assurance), stamp(t)
				r, err := b.admin.ExplainTap(ctx, req)
				if err != nil {
					return err
				}
				lines := slices.Concat([]string{verdict(r.GetDecision())}, r.GetNotes(), r.GetRemedies(), termsLine(r.GetTerms()))
				if !r.GetDecision().GetAllowed() && len(r.GetRemedies()) == 0 {
					lines = append(lines, "Nothing that could be different at the station would change the answer.")
				}
				return show(c, o, r, "%s", strings.Join(lines, "\n"))
			})
		},
	}
	c.Flags().Uint8Var(&assurance, "assurance", 1, "assurance of the badge, 0 to 4")
	c.Flags().StringVar(&at, "at", "", "as if it were this time (RFC 3339)")
	c.Flags().BoolVar(&req.Pin, "pin", false, "as if a good PIN were given")
	c.Flags().BoolVar(&req.Approved, "approved", false, "as if a second person approved")
	c.Flags().StringVar(&req.Approver, "approver", "", "as if this person approved")
	return c
}

// termsLine says how long a session would go on; nothing for none.
func termsLine(t *taplinev1.SessionTerms) []string {
	if t == nil {
		return nil
	}
	ends := "when the station or its person ends it"
	if t.GetEndsAt() != nil {
		ends = "at " + when(t.GetEndsAt()) + " at the latest"
	}
	line := fmt.Sprintf("The session's mode is %s; it ends %s", fallback(word(t.GetMode(), "MODE_"), "the station's own"), ends)
	if t.GetIdle() != nil {
		line += ", or after " + lasting(t.GetIdle()) + " without input"
	}
	return []string{line + "."}
}

func verdict(d *taplinev1.Decision) string {
	by := ""
	if len(d.GetRules()) > 0 {
		by = ", by " + strings.Join(d.GetRules(), ", ")
	}
	if d.GetAllowed() {
		return fmt.Sprintf("allowed by policy %s%s", d.GetPolicyVersion(), by)
	}
	if d.GetPolicyVersion() == "" {
		return "refused: " + word(d.GetRefusal(), "REFUSAL_CAUSE_") // before any policy was asked
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
