package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/agent"
	taplinev1 "tapline/proto/tapline/v1"
)

func (c *cli) statusCommand() *cobra.Command {
	var output string
	var wait time.Duration
	s := &cobra.Command{
		Use:     "status",
		Short:   "Tell on one screen how the station is",
		Long:    "Asks the running agent how it is: who is here, readers, broker, journal, clock, keys, and the last troubles with what to do.",
		Example: "  tapagent status\n  tapagent status -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			st, err := askStatus(cmd.Context(), cfg, wait)
			if err != nil {
				return err
			}
			if output == "json" {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), protojson.MarshalOptions{Multiline: true, UseProtoNames: true}.Format(st))
				return err
			}
			return printStatus(cmd.OutOrStdout(), st, time.Now())
		},
	}
	s.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	s.Flags().DurationVar(&wait, "wait", 0, "how long to wait for an agent that is starting")
	return s
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

func statusOnce(ctx context.Context, cfg agent.Config) (*taplinev1.GetStatusResponse, error) {
	local, done, err := dial(cfg)
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	st, err := local.GetStatus(ctx, &taplinev1.GetStatusRequest{})
	return st, localFault(err)
}

// screen collects lines; the first error that its writer gives stays.
type screen struct {
	out io.Writer
	err error
}

func (s *screen) line(label, format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.out, "%-9s %s\n", label, fmt.Sprintf(format, args...))
	}
}

func printStatus(out io.Writer, st *taplinev1.GetStatusResponse, now time.Time) error {
	s := &screen{out: out}
	s.line("station", "%s (tapagent %s, up %s)", st.GetStation(), st.GetBuild(), ago(st.GetStartedAt(), now))
	s.line("here", "%s", whoText(st.GetPresence(), now))
	if len(st.GetReaders()) == 0 {
		s.line("reader", "NONE: plug one in; \"tapagent check\" looks for the smart card service")
	}
	for _, r := range st.GetReaders() {
		s.line("reader", "%s", readerText(r, now))
	}
	s.line("broker", "%s", brokerText(st.GetBroker(), now))
	s.line("grants", "%s", bundleText(st.GetBundle(), now))
	s.line("journal", "%s", journalText(st.GetJournal()))
	if st.GetToday() != nil {
		s.line("today", "%s", todayText(st.GetToday()))
	}
	clock := st.GetClockState()
	if e := st.GetClockError().AsDuration(); e > 0 {
		clock += fmt.Sprintf(" (true time within %s)", e.Round(time.Millisecond))
	}
	s.line("clock", "%s", clock)
	s.line("keys", "%s; certificate number %d until %s", st.GetKeyStore(), st.GetJoinSequence(), st.GetCertificateExpiresAt().AsTime().Local().Format("2006-01-02 15:04"))
	if words := identityWords(st); words != "" {
		s.line("identity", "%s", words)
	}
	for i, t := range st.GetTroubles() {
		if i == 5 {
			break
		}
		s.line("trouble", "%s ago, %s: %s", ago(t.GetAt(), now), t.GetPart(), t.GetWhat())
		if t.GetHint() != "" {
			s.line("", "hint: %s", t.GetHint())
		}
	}
	return s.err
}

func whoText(p *taplinev1.Presence, now time.Time) string {
	if p.GetSession() == "" && p.GetState() == taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED {
		return fmt.Sprintf("in use for %s, and NOBODY HAS TAPPED", ago(p.GetSince(), now))
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

func bundleText(b *taplinev1.BundleStatus, now time.Time) string {
	if b.GetSequence() == 0 {
		return "NONE: without the broker nobody gets in"
	}
	return fmt.Sprintf("number %d, %s old, grants now: %s, ends %s", b.GetSequence(), ago(b.GetIssuedAt(), now), b.GetTier(),
		b.GetNotAfter().AsTime().Local().Format("2006-01-02"))
}

func journalText(j *taplinev1.JournalStatus) string {
	text := fmt.Sprintf("%d records, %d not yet at the broker, epoch %d, %d MB used, %d MB free",
		j.GetSeq(), j.GetSeq()-min(j.GetAcked(), j.GetSeq()), j.GetEpoch(), j.GetBytes()>>20, j.GetFreeBytes()>>20)
	if j.GetDaysLeft() > 0 {
		text += fmt.Sprintf(", room for %.0f days", j.GetDaysLeft())
	}
	if j.GetLow() {
		text += ": LOW, make room on that disk or bring the broker back"
	}
	if j.GetDegraded() {
		text += "; DEGRADED (" + j.GetReason() + "): records are kept in memory"
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

// identityWords says what is wrong with the station's identity and what to do; empty when all is well.
func identityWords(st *taplinev1.GetStatusResponse) string {
	switch c := st.GetIdentityCondition(); c {
	case "identity-cloned":
		return fmt.Sprintf("QUARANTINED: the broker has met a copy of this station. If this is the real machine, the administrator releases it: "+
			"tapctl station release %s --number %d", st.GetStation(), st.GetJoinSequence())
	case "identity-revoked":
		return "REVOKED by an administrator. To come back it needs a new token: tapagent enrol --replace"
	case "identity-needs-approval":
		return "away too long, or quarantined. The administrator sees which: tapctl station show " + st.GetStation()
	case "identity-expired":
		return "the certificate has expired; it comes back by itself when the broker answers"
	case "identity-renewal-late":
		return "the certificate is late to be renewed: the broker does not answer"
	default:
		return c
	}
}
