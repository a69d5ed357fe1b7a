package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tapline/broker/policy"
	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

func policyCommands(o *options) *cobra.Command {
	return noun("policy", "Policy: check, test, what-if, put, show, history, diff, rollback, explain", `Who may work where is a set of Cedar policies. A set is taken only when it
validates against the schema; an error while deciding is a denial and an alarm.

From a draft to a set in force:
  tapctl policy show > plant.cedar                     # what is in force
  tapctl policy check plant.cedar                      # every fault, with its line
  tapctl policy test plant.cedar --cases cases.yaml    # taps that must be allowed or denied
  tapctl policy what-if plant.cedar --days 14          # whose taps would have gone otherwise
  tapctl policy put plant.cedar --comment "why"`,
		policyCheck(o), policyTest(o), policyWhatIf(o), policyPut(o), policyShow(o), policyHistory(o), policyDiff(o), policyRollback(o),
		policyExplain(o), codeExplain(o))
}

func policyPut(o *options) *cobra.Command {
	var comment string
	c := &cobra.Command{
		Use: "put FILE", Short: "Put a policy set in force", Args: cobra.ExactArgs(1),
		Long:    "Put a policy set in force. FILE holds Cedar policies; - reads standard input.",
		Example: "  tapctl policy put plant.cedar --comment \"night shift may use the crane\"",
		RunE: func(c *cobra.Command, args []string) error {
			text, err := readAll(o.in, args[0])
			if err != nil {
				return err
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				return put(ctx, c, o, b, string(text), comment)
			})
		},
	}
	c.Flags().StringVar(&comment, "comment", "", "why")
	return c
}

func put(ctx context.Context, c *cobra.Command, o *options, b client, text, comment string) error {
	r, err := b.admin.PutPolicy(ctx, &taplinev1.PutPolicyRequest{Text: text, Comment: comment})
	if err != nil {
		return err
	}
	return show(c, o, r.GetPolicy(), "policy %s: in force", r.GetPolicy().GetVersion())
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
				return showPolicy(c, o, p)
			})
		},
	}
}

// showPolicy prints the set's text and nothing else, byte for byte, so that a file of it has the same version. What is known about it goes to the
// other output.
func showPolicy(c *cobra.Command, o *options, p *taplinev1.PolicySet) error {
	if o.output == "json" {
		return printJSON(c.OutOrStdout(), p)
	}
	fmt.Fprintf(c.ErrOrStderr(), "policy %s, since %s, by %s\n", p.GetVersion(), when(p.GetSince()), fallback(clean(p.GetAuthor()), "-"))
	_, err := io.WriteString(c.OutOrStdout(), p.GetText())
	return err
}

func policyHistory(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "history", Short: "List the policy sets that were ever in force, newest first", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				all, err := pages(func(token string) ([]*taplinev1.PolicySet, string, error) {
					r, err := b.admin.ListPolicies(ctx, &taplinev1.ListPoliciesRequest{PageSize: pageSize, PageToken: token})
					return r.GetPolicies(), r.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				return list(c, o, all,
					column[*taplinev1.PolicySet]{"VERSION", (*taplinev1.PolicySet).GetVersion},
					column[*taplinev1.PolicySet]{"IN FORCE SINCE", func(p *taplinev1.PolicySet) string { return when(p.GetSince()) }},
					column[*taplinev1.PolicySet]{"BY", (*taplinev1.PolicySet).GetAuthor},
					column[*taplinev1.PolicySet]{"COMMENT", (*taplinev1.PolicySet).GetComment})
			})
		},
	}
}

func policyRollback(o *options) *cobra.Command {
	var comment string
	c := &cobra.Command{
		Use: "rollback VERSION", Short: "Put an earlier policy set in force again", Args: cobra.ExactArgs(1),
		Long:    "Puts the set of an earlier version in force again, as a new entry of the history.",
		Example: "  tapctl policy history\n  tapctl policy rollback 3f9c01d2aa10",
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.GetPolicy(ctx, &taplinev1.GetPolicyRequest{Version: args[0]})
				if err != nil {
					return err
				}
				return put(ctx, c, o, b, r.GetPolicy().GetText(), fallback(comment, "rollback to "+args[0]))
			})
		},
	}
	c.Flags().StringVar(&comment, "comment", "", "why (default: rollback to VERSION)")
	return c
}

func policyDiff(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "diff VERSION|FILE [VERSION|FILE]", Short: "Show what differs between two policy sets", Args: cobra.RangeArgs(1, 2),
		Long: `Shows line by line what differs between two sets, each a version of the history
or a file. With one argument the other is the set in force.`,
		Example: "  tapctl policy diff plant.cedar\n  tapctl policy diff 3f9c01d2aa10 7b1e22c94d05",
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				if len(args) == 1 {
					args = []string{"", args[0]}
				}
				var texts [2]string
				for i, name := range args {
					var err error
					if texts[i], err = policyText(ctx, o, b, name); err != nil {
						return err
					}
				}
				lines := short(diff(strings.SplitAfter(texts[0], "\n"), strings.SplitAfter(texts[1], "\n")))
				if o.output == "json" {
					return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{
						"from": policy.Version(texts[0]), "to": policy.Version(texts[1]), "lines": lines,
					})
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "--- %s\n+++ %s\n%s", policy.Version(texts[0]), policy.Version(texts[1]), strings.Join(lines, ""))
				return err
			})
		},
	}
}

// policyText reads a set: a file if there is one of that name, else a version; the set in force for no name.
func policyText(ctx context.Context, o *options, b client, name string) (string, error) {
	if _, err := os.Stat(name); name == "-" || name != "" && err == nil {
		text, err := readAll(o.in, name)
		return string(text), err
	}
	r, err := b.admin.GetPolicy(ctx, &taplinev1.GetPolicyRequest{Version: name})
	return r.GetPolicy().GetText(), err
}
