package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	taplinev1 "tapline/proto/tapline/v1"
)

func stationCommands(o *options) *cobra.Command {
	return noun("station", "Stations: put, list, show, delete, revoke, release, approve", `A station is named site/area/line/station (ISA-95). It becomes one of the
broker's by enrolling with a token: see "tapctl token create".`,
		stationPut(o), stationList(o), stationShow(o), stationDelete(o), stationRevoke(o), stationRelease(o), stationApprove(o))
}

func stationPut(o *options) *cobra.Command {
	s := &taplinev1.Station{}
	var mode string
	var assurance uint8
	c := &cobra.Command{
		Use: "put ID", Short: "Make a station, or replace its settings", Args: cobra.ExactArgs(1),
		Long:    "Makes a station, or replaces all of its settings: what no flag names goes back to its default.",
		Example: "  tapctl station put plant/press/line-4/hmi-1 --account press-hmi --mode gate",
		RunE: func(c *cobra.Command, args []string) error {
			s.Id, s.RequiresAssurance = args[0], taplinev1.Assurance(assurance)
			m, err := pick(taplinev1.Mode_value, "MODE_", "mode", mode)
			if err != nil {
				return err
			}
			s.Mode = taplinev1.Mode(m)
			if _, ok := taplinev1.Assurance_name[int32(assurance)]; !ok {
				return usage("--assurance %d: want 0 to 4", assurance)
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.PutStation(ctx, &taplinev1.PutStationRequest{Station: s})
				if err != nil {
					return err
				}
				return show(c, o, r.GetStation(), "station %s", r.GetStation().GetId())
			})
		},
	}
	f := c.Flags()
	f.StringVar(&mode, "mode", "attribute", "attribute, gate, lock or signin")
	f.StringVar(&s.Account, "account", "", "shared account that it runs under")
	f.StringVar(&s.Zone, "zone", "", "zone, for the policy")
	f.StringSliceVar(&s.RequiresCertifications, "certification", nil, "certification that a person needs here")
	f.Uint8Var(&assurance, "assurance", 0, "weakest badge taken: 0 number, 1 chip UID, 2 reader vouches, 3 symmetric proof, 4 public-key proof")
	return c
}

func stationList(o *options) *cobra.Command {
	var query string
	c := &cobra.Command{
		Use: "list", Short: "List stations and how they are", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				all, err := pages(func(token string) ([]*taplinev1.Station, string, error) {
					r, err := b.admin.ListStations(ctx, &taplinev1.ListStationsRequest{PageSize: pageSize, PageToken: token, Query: query})
					return r.GetStations(), r.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				return list(c, o, all,
					column[*taplinev1.Station]{"ID", (*taplinev1.Station).GetId},
					column[*taplinev1.Station]{"STATE", stateOf},
					column[*taplinev1.Station]{"LINE", lineOf},
					column[*taplinev1.Station]{"MODE", func(s *taplinev1.Station) string { return word(s.GetMode(), "MODE_") }},
					column[*taplinev1.Station]{"ACCOUNT", (*taplinev1.Station).GetAccount},
					column[*taplinev1.Station]{"RECORDS", func(s *taplinev1.Station) string { return fmt.Sprint(s.GetAckedSeq()) }},
					column[*taplinev1.Station]{"NUMBER", numberOf},
					column[*taplinev1.Station]{"CERTIFICATE", func(s *taplinev1.Station) string { return lifeOf(s, time.Now()) }},
					column[*taplinev1.Station]{"LAST SEEN", func(s *taplinev1.Station) string { return when(s.GetLastSeenAt()) }},
					column[*taplinev1.Station]{"BUILD", (*taplinev1.Station).GetBuild})
			})
		},
	}
	c.Flags().StringVar(&query, "query", "", "text in the name")
	return c
}

func stationDelete(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "Delete a station; its records stay", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.DeleteStation(ctx, &taplinev1.DeleteStationRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return show(c, o, r, "station %s deleted", args[0])
			})
		},
	}
}
