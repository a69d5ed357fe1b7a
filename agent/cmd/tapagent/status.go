package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/agent"
	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

func (c *cli) statusCommand() *cobra.Command {
	var output string
	var wait time.Duration
	var strict, watch bool
	s := &cobra.Command{
		Use:   "status",
		Short: "Tell on one screen how the station is, and what to do",
		Long: `Asks the running agent how it is. What needs somebody's eye comes first, with what
to do next; then who is here, mode, readers, broker, grants, journal, clock, keys,
and the last troubles, each once with how often and when last.

Exit codes: 0 well, or with warnings alone; 1 a fault: something that the station
is for does not work; 7 the agent does not answer. With --strict a warning is 1, too.

Whoever is neither root nor the agent's own account gets the outline alone.`,
		Example: "  tapagent status\n  tapagent status --watch\n  tapagent status -o json | jq .findings",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return osservice.Fault(osservice.Usage, fmt.Errorf("output %q: want text or json", output), "")
			}
			cfg, err := c.load()
			if err != nil {
				return err
			}
			st, err := askStatus(cmd.Context(), cfg, wait)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if watch {
				return watchStatus(cmd.Context(), out, cfg, output, st)
			}
			if err := writeStatus(out, output, st); err != nil {
				return err
			}
			return health(st, strict)
		},
	}
	s.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	s.Flags().DurationVar(&wait, "wait", 0, "how long to wait for an agent that is starting")
	s.Flags().BoolVar(&strict, "strict", false, "end with 1 for warnings, too")
	s.Flags().BoolVarP(&watch, "watch", "w", false, "show it again every two seconds, until Ctrl-C")
	return s
}

// watchEvery is the time between two screens.
const watchEvery = 2 * time.Second

// watchStatus shows screen after screen until ctx ends. An agent that does not answer for a while is said, not the end.
func watchStatus(ctx context.Context, out io.Writer, cfg agent.Config, output string, st *taplinev1.GetStatusResponse) error {
	again := time.NewTicker(watchEvery)
	defer again.Stop()
	var err error
	for {
		if output == "text" {
			_, _ = io.WriteString(out, "\x1b[H\x1b[2J")
		}
		if err != nil {
			_, err = fmt.Fprintln(out, "the agent does not answer:", err)
		} else {
			err = writeStatus(out, output, st)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
			st, err = statusOnce(ctx, cfg)
		}
	}
}

func writeStatus(out io.Writer, output string, st *taplinev1.GetStatusResponse) error {
	if output == "json" {
		_, err := fmt.Fprintln(out, protojson.MarshalOptions{Multiline: true, UseProtoNames: true}.Format(st))
		return err
	}
	return printStatus(out, st, time.Now())
}

// health is the error, and so the exit code, that fits what was found.
func health(st *taplinev1.GetStatusResponse, strict bool) error {
	faults, warnings := count(st)
	switch {
	case faults > 0:
		return osservice.Fault(osservice.Failure, fmt.Errorf("the station has %s", countText(faults, warnings)), "begin with the first line that says FAULT")
	case warnings > 0 && strict:
		return osservice.Fault(osservice.Failure, fmt.Errorf("the station has %s", countText(faults, warnings)), "begin with the first line that says WARNING")
	}
	return nil
}

func count(st *taplinev1.GetStatusResponse) (faults, warnings int) {
	for _, f := range st.GetFindings() {
		if f.GetSeverity() == taplinev1.Severity_SEVERITY_FAULT {
			faults++
		} else {
			warnings++
		}
	}
	return faults, warnings
}

func countText(faults, warnings int) string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{faults, "fault"}, {warnings, "warning"}} {
		switch {
		case p.n == 1:
			parts = append(parts, "1 "+p.word)
		case p.n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", p.n, p.word))
		}
	}
	return strings.Join(parts, " and ")
}

// askStatus asks the running agent, again and again until it answers or wait is over.
func askStatus(ctx context.Context, cfg agent.Config, wait time.Duration) (*taplinev1.GetStatusResponse, error) {
	waiting, cancel := context.WithTimeout(ctx, max(wait, time.Nanosecond))
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		st, err := statusOnce(ctx, cfg)
		if err == nil {
			return st, nil
		}
		select {
		case <-waiting.Done():
			return nil, err
		case <-again.C:
		}
	}
}

func statusOnce(ctx context.Context, cfg agent.Config) (st *taplinev1.GetStatusResponse, err error) {
	err = call(ctx, cfg, askWithin, func(ctx context.Context, local taplinev1.LocalServiceClient) (err error) {
		st, err = local.GetStatus(ctx, &taplinev1.GetStatusRequest{})
		return localFault(err)
	})
	return st, err
}

func whoText(p *taplinev1.Presence, now time.Time) string {
	if p.GetSession() == "" && p.GetState() == taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED {
		return fmt.Sprintf("in use for %s, and NOBODY HAS TAPPED", ago(p.GetSince(), now))
	}
	if e := p.GetEmergency(); e != nil {
		return fmt.Sprintf("EMERGENCY (%s) for %s: open to everybody, until somebody taps or \"tapagent emergency end\"", e.GetReason(), ago(e.GetSince(), now))
	}
	if p.GetSession() == "" {
		return "nobody"
	}
	name := p.GetPerson().GetDisplayName()
	if name == "" {
		name = p.GetPerson().GetId()
	}
	text := fmt.Sprintf("%s, since %s, decided by %s", name, ago(p.GetSince(), now), p.GetDecidedBy())
	if p.GetState() == taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED {
		text += " (NOT RECORDED YET)"
	}
	return text
}

func readerText(r *taplinev1.ReaderStatus, now time.Time) string {
	if !r.GetAttached() {
		return fmt.Sprintf("%s: AWAY (%s)", r.GetName(), r.GetReason())
	}
	if r.GetLastTapAt() == nil {
		return r.GetName() + ": ready, no tap yet"
	}
	return fmt.Sprintf("%s: ready, last tap %s ago", r.GetName(), ago(r.GetLastTapAt(), now))
}

func brokerText(b *taplinev1.BrokerStatus, now time.Time) string {
	if b.GetConnected() {
		return fmt.Sprintf("%s: connected for %s", b.GetAddress(), ago(b.GetSince(), now))
	}
	return fmt.Sprintf("%s: AWAY for %s (%s)", b.GetAddress(), ago(b.GetSince(), now), b.GetReason())
}

func bundleText(b *taplinev1.BundleStatus, badges uint32, now time.Time) string {
	if b.GetSequence() == 0 {
		return "NONE: without the broker nobody gets in"
	}
	return fmt.Sprintf("%d badges, number %d, %s old, without the broker in force for: %s; %s left", badges, b.GetSequence(), ago(b.GetIssuedAt(), now), b.GetTier(),
		span(b.GetNotAfter().AsTime().Sub(now)))
}

func journalText(j *taplinev1.JournalStatus) string {
	text := fmt.Sprintf("%d records, %d not yet at the broker, epoch %d, %s used, %s free",
		j.GetSeq(), j.GetSeq()-min(j.GetAcked(), j.GetSeq()), j.GetEpoch(), size(j.GetBytes()), size(j.GetFreeBytes()))
	if j.GetDaysLeft() > 0 {
		text += fmt.Sprintf(", room for %.0f days", j.GetDaysLeft())
	}
	if j.GetDegraded() {
		text += "; DEGRADED (" + j.GetReason() + ")"
	}
	return text
}

// todayText says what became of the day so far.
func todayText(c *taplinev1.CoverageStatus) string {
	of := func(d *durationpb.Duration) string {
		n := int(d.AsDuration().Seconds())
		return fmt.Sprintf("%d:%02d:%02d", n/3600, n/60%60, n%60)
	}
	return fmt.Sprintf("named %s, emergency %s, unattributed %s, idle %s, agent down %s",
		of(c.GetNamed()), of(c.GetEmergency()), of(c.GetUnattributed()), of(c.GetIdle()), of(c.GetAgentDown()))
}

// ago is the time since t in the words of a status screen.
func ago(t *timestamppb.Timestamp, now time.Time) string {
	if t == nil {
		return "?"
	}
	switch d := max(0, now.Sub(t.AsTime())); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	}
}
