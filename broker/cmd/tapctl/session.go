package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	taplinev1 "tapline/proto/tapline/v1"
)

func sessionCommands(o *options) *cobra.Command {
	return noun("session", "Sessions: list", "A session is from the tap that names a person at a station to the event that ends it.", sessionList(o))
}

func sessionList(o *options) *cobra.Command {
	f := &taplinev1.RecordFilter{}
	var from, until string
	var limit uint32
	c := &cobra.Command{
		Use: "list", Short: "List who was at which station when, newest first", Args: cobra.ExactArgs(0),
		Example: "  tapctl session list --station plant/press/ --from 8h",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := window(f, from, until); err != nil {
				return err
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				s, err := b.audit.ListSessions(ctx, &taplinev1.ListSessionsRequest{Filter: f, Limit: limit})
				if err != nil {
					return err
				}
				var all []*taplinev1.Session
				for {
					r, err := s.Recv()
					if errors.Is(err, io.EOF) {
						return list(c, o, all, sessionColumns()...)
					}
					if err != nil {
						return err
					}
					all = append(all, r.GetSession())
				}
			})
		},
	}
	fl := c.Flags()
	fl.StringSliceVar(&f.Stations, "station", nil, "station; a trailing / takes all below")
	fl.StringSliceVar(&f.People, "person", nil, "person by ID")
	fl.StringVar(&from, "from", "", "from this time on: RFC 3339, or an age such as 8h")
	fl.StringVar(&until, "until", "", "before this time")
	fl.Uint32Var(&limit, "limit", 1000, "at most this many")
	return c
}

func window(f *taplinev1.RecordFilter, from, until string) error {
	for text, set := range map[*string]func(time.Time){&from: func(t time.Time) { f.From = stamp(t) }, &until: func(t time.Time) { f.Until = stamp(t) }} {
		if *text == "" {
			continue
		}
		t, err := atTime(*text, time.Now())
		if err != nil {
			return err
		}
		set(t)
	}
	return nil
}

func sessionColumns() []column[*taplinev1.Session] {
	return []column[*taplinev1.Session]{
		{"STATION", (*taplinev1.Session).GetStation},
		{"PERSON", sessionPerson},
		{"FROM", func(s *taplinev1.Session) string { return when(s.GetOpenedAt()) }},
		{"UNTIL", func(s *taplinev1.Session) string { return fallback(when(s.GetClosedAt()), "now") }},
		{"ENDED BY", (*taplinev1.Session).GetReason},
		{"DECIDED BY", (*taplinev1.Session).GetDecidedBy},
		{"ACCOUNT", (*taplinev1.Session).GetAccount},
		{"RECORDS", func(s *taplinev1.Session) string {
			if s.GetClosedSeq() == 0 {
				return fmt.Sprintf("%d-", s.GetOpenedSeq())
			}
			return fmt.Sprintf("%d-%d", s.GetOpenedSeq(), s.GetClosedSeq())
		}},
	}
}

// sessionPerson is whose session it is. An emergency is nobody's: whoever answered for it need not have been there.
func sessionPerson(s *taplinev1.Session) string {
	person := strings.TrimSpace(s.GetPerson() + "  " + s.GetDisplayName())
	switch {
	case s.GetDecidedBy() != "emergency":
		return person
	case person == "":
		return "(emergency)"
	}
	return "(emergency) claimed by " + person
}

func whoCommand(o *options) *cobra.Command {
	var at string
	c := &cobra.Command{
		Use: "who STATION", Short: "Say who was at a station, and how sure that is", Args: cobra.ExactArgs(1),
		Example: "  tapctl who plant/press/line-4/hmi-1\n  tapctl who plant/press/line-4/hmi-1 --at 2026-11-22T14:03:00Z",
		RunE: func(c *cobra.Command, args []string) error {
			t, err := atTime(at, time.Now())
			if err != nil {
				return err
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.audit.WhoWasAt(ctx, &taplinev1.WhoWasAtRequest{Station: args[0], At: stamp(t)})
				if err != nil {
					return err
				}
				if o.output == "json" {
					return printJSON(c.OutOrStdout(), r)
				}
				fmt.Fprintf(c.OutOrStdout(), "%s at %s: %s\n", args[0], t.Local().Format("2006-01-02 15:04:05"), word(r.GetConfidence(), "CONFIDENCE_"))
				if len(r.GetSessions()) == 0 {
					return nil
				}
				return list(c, o, r.GetSessions(), sessionColumns()...)
			})
		},
	}
	c.Flags().StringVar(&at, "at", "", "RFC 3339, or an age such as 2h; default now")
	return c
}
