package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/protobuf/types/known/timestamppb"

	taplinev1 "tapline/proto/tapline/v1"
)

// maxShown bounds what is kept and printed; the counts go on.
const maxShown = 1000

func policyWhatIf(o *options) *cobra.Command {
	var days uint
	c := &cobra.Command{
		Use: "what-if FILE", Short: "Say whose recorded taps a draft would have answered otherwise", Args: cobra.ExactArgs(1),
		Long: `Decides the taps of the last days again, under the set in force and under the
draft in FILE, with all that was known of each tap when it came: roles, certifications,
the shift, the badge, a PIN. It lists who, where and when the answer would have been
another one, and counts by rule. Nothing is changed. The broker keeps taps for 30 days;
those that a station decided alone, away from the broker, are not among them.`,
		Example: "  tapctl policy what-if plant.cedar --days 14",
		RunE: func(c *cobra.Command, args []string) error {
			text, err := readAll(o.in, args[0])
			if err != nil {
				return err
			}
			if days == 0 || days > 365 {
				return usage("--days %d: want 1 to 365", days)
			}
			r := replay{since: time.Now().Add(-time.Duration(days) * 24 * time.Hour), byRule: map[string]int{}}
			err = o.stream(c.Context(), func(ctx context.Context, b client) error { return r.run(ctx, o, b, string(text), c.ErrOrStderr()) })
			if err != nil {
				return err
			}
			if o.output == "json" {
				return r.json(c.OutOrStdout())
			}
			return r.table(c.OutOrStdout())
		},
	}
	c.Flags().UintVar(&days, "days", 7, "how many days back")
	return c
}

// replay is what came of a what-if.
type replay struct {
	since       time.Time
	now, draft  string
	replayed    int
	refused     int // allowed now, refused under the draft
	let         int // refused now, allowed under the draft
	other       int // refused for another cause, or with another effect
	byRule      map[string]int
	differences []*taplinev1.ReplayedTap
}

// run asks page by page: no call takes long, however many taps there are.
func (r *replay) run(ctx context.Context, o *options, b client, text string, progress io.Writer) error {
	bar := tapBar(progress)
	defer bar.Finish() //nolint:errcheck // a bar
	token := ""
	for {
		page, err := r.page(ctx, o, b, text, token)
		if err != nil {
			return err
		}
		_ = bar.Add(int(page.GetReplayed()))
		if page.GetNextPageToken() == "" {
			return nil
		}
		if page.GetNextPageToken() == token {
			return fmt.Errorf("broker repeats page %q", token)
		}
		token = page.GetNextPageToken()
	}
}

func (r *replay) page(ctx context.Context, o *options, b client, text, token string) (*taplinev1.ReplayTapsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	page, err := b.admin.ReplayTaps(ctx, &taplinev1.ReplayTapsRequest{Text: text, Since: timestamppb.New(r.since), PageToken: token})
	if err != nil {
		return nil, err
	}
	r.now, r.draft, r.replayed = page.GetPolicyVersion(), page.GetDraftVersion(), r.replayed+int(page.GetReplayed())
	for _, d := range page.GetDifferences() {
		r.count(d)
		if len(r.differences) < maxShown {
			r.differences = append(r.differences, d)
		}
	}
	return page, nil
}

// count counts a difference, by the rules that decide under the draft; those that decide now where no rule does then.
func (r *replay) count(d *taplinev1.ReplayedTap) {
	switch now, then := d.GetNow().GetAllowed(), d.GetDraft().GetAllowed(); {
	case now && !then:
		r.refused++
	case !now && then:
		r.let++
	default:
		r.other++
	}
	rules := d.GetDraft().GetRules()
	if len(rules) == 0 {
		rules = []string{"(no rule permits it)"}
	}
	for _, name := range rules {
		r.byRule[name]++
	}
}

func (r *replay) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if len(r.differences) > 0 {
		fmt.Fprintln(t, "AT\tSTATION\tPERSON\tNOW\tUNDER THE DRAFT")
	}
	for _, d := range r.differences {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", when(d.GetAt()), clean(d.GetStation()), clean(d.GetPerson()), brief(d.GetNow()), brief(d.GetDraft()))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if n := r.refused + r.let + r.other; n > len(r.differences) {
		fmt.Fprintf(w, "... and %d more\n", n-len(r.differences))
	}
	for _, name := range r.rules() {
		fmt.Fprintf(w, "%6d  by %s\n", r.byRule[name], clean(name))
	}
	_, err := fmt.Fprintf(w, "%d taps since %s: %d would be refused that are allowed, %d allowed that are refused, %d refused for another cause (policy %s, draft %s)\n",
		r.replayed, when(timestamppb.New(r.since)), r.refused, r.let, r.other, r.now, r.draft)
	return err
}

// rules are the counted ones, the most frequent first.
func (r *replay) rules() []string {
	var names []string
	for name := range r.byRule {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if n := r.byRule[b] - r.byRule[a]; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	return names
}

func (r *replay) json(w io.Writer) error {
	all := make([]json.RawMessage, len(r.differences))
	for i, d := range r.differences {
		b, err := encodeJSON(d)
		if err != nil {
			return err
		}
		all[i] = b
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{
		"policy_version": r.now, "draft_version": r.draft, "since": r.since.UTC(), "replayed": r.replayed, "would_be_refused": r.refused,
		"would_be_allowed": r.let, "other_cause": r.other, "by_rule": r.byRule, "differences": all, "left_out": r.refused + r.let + r.other - len(all),
	})
}

func brief(d *taplinev1.Decision) string {
	outcome := "allowed"
	if !d.GetAllowed() {
		outcome = "refused: " + word(d.GetRefusal(), "REFUSAL_CAUSE_")
	}
	if len(d.GetRules()) == 0 {
		return outcome
	}
	return outcome + " (" + strings.Join(d.GetRules(), ", ") + ")"
}

// tapBar counts taps on a terminal, and says nothing elsewhere.
func tapBar(w io.Writer) *progressbar.ProgressBar {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return progressbar.DefaultSilent(-1)
	}
	return progressbar.NewOptions64(-1, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription("taps decided again"),
		progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
}
