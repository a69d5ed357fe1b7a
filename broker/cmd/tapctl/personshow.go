package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	taplinev1 "tapline/proto/tapline/v1"
)

// soon is how long ahead a certification that lapses is pointed out.
const soon = 30 * 24 * time.Hour

func personShow(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show all that is known of a person", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.GetPerson(ctx, &taplinev1.GetPersonRequest{Id: args[0]})
				if err != nil {
					return err
				}
				if o.output == "json" {
					return printJSON(c.OutOrStdout(), r)
				}
				if err := printPerson(c.OutOrStdout(), r, time.Now()); err != nil || len(r.GetBadges()) == 0 {
					return err
				}
				return list(c, o, r.GetBadges(),
					column[*taplinev1.Badge]{"BADGE", (*taplinev1.Badge).GetId},
					column[*taplinev1.Badge]{"LABEL", (*taplinev1.Badge).GetLabel},
					column[*taplinev1.Badge]{"TECHNOLOGY", (*taplinev1.Badge).GetTechnology},
					column[*taplinev1.Badge]{"STATE", func(b *taplinev1.Badge) string { return badgeState(b, time.Now()) }},
					column[*taplinev1.Badge]{"ENDS", func(b *taplinev1.Badge) string { return when(b.GetNotAfter()) }},
					column[*taplinev1.Badge]{"LAST USED", func(b *taplinev1.Badge) string { return when(b.GetLastUsedAt()) }},
					column[*taplinev1.Badge]{"SOURCE", (*taplinev1.Badge).GetSource})
			})
		},
	}
}

func printPerson(out io.Writer, r *taplinev1.GetPersonResponse, now time.Time) error {
	p := r.GetPerson()
	shifts := fallback(strings.Join(p.GetShifts(), ", "), "always")
	if len(p.GetShifts()) > 0 {
		shifts += map[bool]string{true: " (on shift", false: " (off shift"}[r.GetOnShift()]
		if r.GetShiftChangesAt() != nil {
			shifts += " until " + when(r.GetShiftChangesAt())
		}
		shifts += ")"
	}
	var b strings.Builder
	for _, line := range [][2]string{
		{"person", p.GetId()},
		{"name", p.GetDisplayName()},
		{"state", personState(p)},
		{"source", p.GetSource()},
		{"roles", strings.Join(p.GetRoles(), ", ")},
		{"shifts", shifts},
		{"seniority", fmt.Sprint(p.GetSeniority())},
		{"PIN", map[bool]string{true: "set", false: "not set"}[r.GetPinSet()]},
	} {
		fmt.Fprintf(&b, "%-14s %s\n", line[0], fallback(clean(line[1]), "-"))
	}
	for i, c := range p.GetCertifications() {
		fmt.Fprintf(&b, "%-14s %s\n", map[bool]string{true: "certifications"}[i == 0], certificationText(c, now))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func personState(p *taplinev1.PersonEntry) string {
	switch {
	case p.GetLeftAt() != nil:
		return "left " + p.GetLeftAt().AsTime().Local().Format(time.DateOnly)
	case p.GetSuspended():
		return "suspended by " + fallback(p.GetSuspendedBy(), "local")
	}
	return "active"
}

// certificationText is a certification, and whether it lapses soon.
func certificationText(c *taplinev1.Certification, now time.Time) string {
	text := clean(c.GetName())
	if c.GetNotAfter() == nil {
		return text
	}
	end := c.GetNotAfter().AsTime()
	text += " until " + end.Local().Format("2006-01-02 15:04")
	switch {
	case !now.Before(end):
		return text + " (LAPSED)"
	case end.Sub(now) < soon:
		return fmt.Sprintf("%s (lapses in %d days)", text, int(end.Sub(now)/(24*time.Hour)))
	}
	return text
}

// certificationsText is a list's cell: names, and what is wrong soon.
func certificationsText(p *taplinev1.PersonEntry, now time.Time) string {
	var all []string
	for _, c := range p.GetCertifications() {
		text := c.GetName()
		if end := c.GetNotAfter(); end != nil && end.AsTime().Sub(now) < soon {
			text += map[bool]string{true: " (LAPSED)", false: " (until " + end.AsTime().Local().Format(time.DateOnly) + ")"}[!now.Before(end.AsTime())]
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// readCertifications reads NAME or NAME=DAY, the last day on which it is good.
func readCertifications(texts []string, zone *time.Location) ([]*taplinev1.Certification, error) {
	var all []*taplinev1.Certification
	for _, text := range texts {
		name, day, dated := strings.Cut(text, "=")
		c := &taplinev1.Certification{Name: name}
		if dated {
			d, err := time.ParseInLocation(time.DateOnly, day, zone)
			if err != nil {
				return nil, usage("--certified %q: want NAME or NAME=2027-03-31", text)
			}
			c.NotAfter = stamp(d.AddDate(0, 0, 1))
		}
		all = append(all, c)
	}
	return all, nil
}
