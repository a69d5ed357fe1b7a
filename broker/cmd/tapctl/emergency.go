package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	taplinev1 "tapline/proto/tapline/v1"
)

func emergencyCommands(o *options) *cobra.Command {
	return noun("emergency", "Emergencies: list", "In an emergency anybody may open a station without a badge; two people have to answer for it afterwards, by a tap at that station.",
		emergencyList(o))
}

func emergencyList(o *options) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "list", Short: "List emergencies that are in force or that not enough people have answered for", Args: cobra.ExactArgs(0),
		Example: "  tapctl emergency list\n  tapctl emergency list --all -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.audit.ListEmergencies(ctx, &taplinev1.ListEmergenciesRequest{All: all})
				if err != nil {
					return err
				}
				return list(c, o, r.GetEmergencies(),
					column[*taplinev1.EmergencyEntry]{"EMERGENCY", (*taplinev1.EmergencyEntry).GetEmergency},
					column[*taplinev1.EmergencyEntry]{"STATION", (*taplinev1.EmergencyEntry).GetStation},
					column[*taplinev1.EmergencyEntry]{"REASON", (*taplinev1.EmergencyEntry).GetReason},
					column[*taplinev1.EmergencyEntry]{"FROM", func(e *taplinev1.EmergencyEntry) string { return when(e.GetOpenedAt()) }},
					column[*taplinev1.EmergencyEntry]{"UNTIL", func(e *taplinev1.EmergencyEntry) string { return fallback(when(e.GetClosedAt()), "now") }},
					column[*taplinev1.EmergencyEntry]{"ENDED BY", (*taplinev1.EmergencyEntry).GetEndedBy},
					column[*taplinev1.EmergencyEntry]{"CLAIMED BY", claimants},
					column[*taplinev1.EmergencyEntry]{"MISSING", func(e *taplinev1.EmergencyEntry) string { return strconv.Itoa(int(e.GetMissing())) }},
					column[*taplinev1.EmergencyEntry]{"CLAIM BY", func(e *taplinev1.EmergencyEntry) string { return when(e.GetClaimBy()) }})
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "those that are over and claimed too")
	return c
}

func claimants(e *taplinev1.EmergencyEntry) string {
	var names []string
	for _, c := range e.GetClaims() {
		names = append(names, fallback(c.GetDisplayName(), c.GetPerson()))
	}
	return strings.Join(names, ", ")
}
