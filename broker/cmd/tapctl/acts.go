package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func actsCommands(o *options) *cobra.Command {
	return noun("acts", "What officers did: list", `Each act that changes something is a signed record of the broker's own chain, with
who did it, in which role, upon what, and the digest of the request.`, actsList(o))
}

// act is a record of an act, as it is listed.
type act struct {
	Seq    record.Seq `json:"seq"`
	At     time.Time  `json:"at"`
	Actor  string     `json:"actor"`
	Role   string     `json:"role"`
	Method string     `json:"method"`
	Target string     `json:"target"`
	Digest string     `json:"digest"`
}

func actsList(o *options) *cobra.Command {
	var from, until, actor string
	limit := 1000
	c := &cobra.Command{
		Use: "list", Short: "List what officers did, newest first", Args: cobra.ExactArgs(0),
		Example: "  tapctl acts list --from 24h\n  tapctl acts list --actor olga -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			h, err := o.hold()
			if err != nil {
				return err
			}
			who, err := wire.SubjectOf(h.cert.Leaf)
			if err != nil {
				return identityFault(h.dir, err)
			}
			f := &taplinev1.RecordFilter{Stations: []string{who.Site + "/tapline/broker/1"}, Types: []string{string(record.AdminAct)}}
			if err := window(f, from, until); err != nil {
				return err
			}
			return o.stream(c.Context(), func(ctx context.Context, b client) error {
				all, err := acts(ctx, b.audit, f, actor)
				if err != nil {
					return err
				}
				slices.Reverse(all)
				return printActs(c.OutOrStdout(), o.output, all[:min(len(all), limit)])
			})
		},
	}
	fl := c.Flags()
	fl.StringVar(&from, "from", "", "from this time on: RFC 3339, or an age such as 8h")
	fl.StringVar(&until, "until", "", "before this time")
	fl.StringVar(&actor, "actor", "", "only of this officer")
	fl.IntVar(&limit, "limit", limit, "at most this many, the newest")
	return c
}

// acts reads the acts that match, oldest first.
func acts(ctx context.Context, b taplinev1.AuditServiceClient, f *taplinev1.RecordFilter, actor string) ([]act, error) {
	all := []act{}
	after := uint64(0)
	for {
		s, err := b.QueryRecords(ctx, &taplinev1.QueryRecordsRequest{Filter: f, After: after, Limit: 10_000})
		if err != nil {
			return nil, err
		}
		n := 0
		for ; ; n++ {
			r, err := s.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			after = r.GetRecord().GetCursor()
			a, err := actOf(r.GetRecord().GetEnvelope())
			if err != nil {
				return nil, err
			}
			if actor == "" || a.Actor == actor {
				all = append(all, a)
			}
		}
		if n < 10_000 {
			return all, nil
		}
	}
}

func actOf(envelope []byte) (act, error) {
	e, err := record.ParseEnvelope(envelope)
	if err != nil {
		return act{}, fmt.Errorf("answer: %w", err)
	}
	p, err := e.Payload()
	if err != nil || p.Admin == nil {
		return act{}, fmt.Errorf("answer: not the record of an act: %w", err)
	}
	return act{p.Seq, p.Time.Wall, p.Admin.Actor, p.Admin.Role, p.Admin.Method, p.Admin.Target, p.Admin.Digest.String()}, nil
}

func printActs(out io.Writer, form string, all []act) error {
	if form == "json" {
		b, err := json.MarshalIndent(all, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", b)
		return err
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SEQ\tAT\tWHO\tROLE\tDID\tUPON")
	for _, a := range all {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", a.Seq, a.At.Local().Format("2006-01-02 15:04:05"), clean(a.Actor), fallback(a.Role, "-"), clean(a.Method), fallback(clean(a.Target), "-"))
	}
	return w.Flush()
}
