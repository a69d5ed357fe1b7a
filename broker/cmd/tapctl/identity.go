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

func stationShow(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one station and where its identity stands, with what to do next", Args: cobra.ExactArgs(1),
		Long: `Shows a station's settings and its identity: certificates, copies that were seen
of it, until when it comes back by itself, and what to do next.`,
		Example: "  tapctl station show plant/press/line-4/hmi-1",
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.GetStation(ctx, &taplinev1.GetStationRequest{Id: args[0]})
				if err != nil {
					return err
				}
				if o.output == "json" {
					return printJSON(c.OutOrStdout(), r)
				}
				return printStation(c.OutOrStdout(), r, time.Now())
			})
		},
	}
}

func printStation(w io.Writer, r *taplinev1.GetStationResponse, now time.Time) error {
	s, id := r.GetStation(), r.GetIdentity()
	var out strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&out, "%-13s %s\n", name, clean(fmt.Sprintf(format, args...)))
	}
	line("station", "%s", s.GetId())
	line("state", "%s", stationState(s))
	line("line", "%s, last seen %s", lineOf(s), fallback(when(s.GetLastSeenAt()), "never"))
	line("mode", "%s, account %s", word(s.GetMode(), "MODE_"), fallback(s.GetAccount(), "none"))
	if id != nil {
		line("identity key", "SHA-256 %s", id.GetFingerprint())
		line("enrolled", "%s", when(id.GetEnrolledAt()))
		line("certificate", "number %d, %s", id.GetJoinSequence(), lifeOf(s, now))
		line("away", "comes back by itself until %s", when(id.GetRecoversUntil()))
		if id.GetApprovedUntil() != nil {
			line("approved", "may come back until %s", when(id.GetApprovedUntil()))
		}
	}
	for _, c := range id.GetCertificates() {
		state := "good until " + when(c.GetNotAfter())
		if c.GetRevoked() {
			state = "revoked"
		}
		line("  issued", "number %d, serial %s, %s", c.GetJoinSequence(), c.GetSerial(), state)
	}
	for _, c := range id.GetCopies() {
		state := "last asked " + when(c.GetLastSeenAt())
		if c.GetGivenUp() {
			state += ", given up"
		}
		line("  copy", "number %d, serial %s, %s", c.GetJoinSequence(), fallback(c.GetSerial(), "not shown"), state)
	}
	line("next", "%s", nextStep(r, now))
	_, err := io.WriteString(w, out.String())
	return err
}

func stationState(s *taplinev1.Station) string {
	state := word(s.GetState(), "STATION_STATE_")
	switch {
	case s.GetState() == taplinev1.StationState_STATION_STATE_QUARANTINED:
		return state + ": two copies of it were seen (a cloned disk, or a restored snapshot)"
	case s.GetStateReason() != "":
		return state + ": " + s.GetStateReason()
	}
	return state
}

// stateOf is a station's state with its reason, for a table.
func stateOf(s *taplinev1.Station) string {
	state := word(s.GetState(), "STATION_STATE_")
	if r := s.GetStateReason(); r != "" {
		state += " (" + r + ")"
	}
	return state
}

// numberOf is the number of a station's newest certificate.
func numberOf(s *taplinev1.Station) string {
	if s.GetJoinSequence() == 0 {
		return ""
	}
	return fmt.Sprint(s.GetJoinSequence())
}

func lineOf(s *taplinev1.Station) string {
	if s.GetConnected() {
		return "connected"
	}
	return "away"
}

// lifeOf says of a station's newest certificate until when it is good.
func lifeOf(s *taplinev1.Station, now time.Time) string {
	t := s.GetCertificateExpiresAt()
	if t == nil {
		return ""
	}
	left := t.AsTime().Sub(now)
	if left < 0 {
		return fmt.Sprintf("expired %d days ago", int(-left.Hours()/24))
	}
	return fmt.Sprintf("good for %dd%02dh", int(left.Hours()/24), int(left.Hours())%24)
}

// nextStep is what an administrator should do about a station.
func nextStep(r *taplinev1.GetStationResponse, now time.Time) string {
	s, id := r.GetStation(), r.GetIdentity()
	switch s.GetState() {
	case taplinev1.StationState_STATION_STATE_PENDING, taplinev1.StationState_STATION_STATE_UNSPECIFIED:
		return "make a token (tapctl token create " + s.GetId() + ") and enrol it"
	case taplinev1.StationState_STATION_STATE_REVOKED:
		return "nothing; to take it back, make a new token (tapctl token create " + s.GetId() + ")"
	case taplinev1.StationState_STATION_STATE_QUARANTINED:
		return "find out which machine is the real one, switch the other off, then: tapctl station release " + s.GetId() + " --number N"
	}
	if u := id.GetRecoversUntil(); u != nil && now.After(u.AsTime()) && id.GetApprovedUntil() == nil {
		return "it was away too long to come back by itself: tapctl station approve " + s.GetId()
	}
	return "nothing"
}

func stationApprove(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "approve ID", Short: "Let a station come back that was away for longer than 180 days", Args: cobra.ExactArgs(1),
		Long: `A station that was away comes back by itself for 180 days after its certificate
ended. After that an administrator has to say that the machine is still the one
they know. Nobody has to visit it: it asks again within 20 minutes. The approval
is good for seven days and for one return.`,
		Example: "  tapctl station approve plant/press/line-4/hmi-1",
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.ApproveRecovery(ctx, &taplinev1.ApproveRecoveryRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return show(c, o, r, "station %s may come back until %s", args[0], when(r.GetUntil()))
			})
		},
	}
}

func stationRelease(o *options) *cobra.Command {
	req := &taplinev1.ReleaseStationRequest{}
	c := &cobra.Command{
		Use: "release ID", Short: "End the quarantine of a station that was found twice", Args: cobra.ExactArgs(1),
		Long: `Two copies of a station's identity were seen: its disk was cloned, or an old
snapshot of it was restored. The station works on with the grants that it has, and
gets no new ones.

"tapctl station show ID" lists both: the number of the newest certificate, and the
number that the other copy asked with. Find out which machine is the real one
("tapagent status" shows its number), switch the other one off, and name the real
one's number. It goes on within 20 minutes. All certificates of the other copy are
refused from then on, and it has to be enrolled anew, as a station of its own.`,
		Example: `  tapctl station show plant/press/line-4/hmi-1
  tapctl station release plant/press/line-4/hmi-1 --number 17`,
		RunE: func(c *cobra.Command, args []string) error {
			req.Id = args[0]
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.ReleaseStation(ctx, req)
				if err != nil {
					return err
				}
				return show(c, o, r.GetStation(), "station %s released", args[0])
			})
		},
	}
	c.Flags().Uint64Var(&req.JoinSequence, "number", 0, "number of the live copy's certificate, as station show tells it; or")
	c.Flags().StringVar(&req.Serial, "serial", "", "its serial number, in hex")
	c.MarkFlagsOneRequired("number", "serial")
	c.MarkFlagsMutuallyExclusive("number", "serial")
	return c
}

func stationRevoke(o *options) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "revoke ID", Short: "Cut a station off at once", Args: cobra.ExactArgs(1),
		Long: `Cuts a station off: its streams end and every call is refused within seconds, at
every broker; its leases end and its unused tokens are worthless. What it holds
works on until it runs out: a station that is not on the line decides from its
grants for as long as they last.

To take it back, make a new token for it; to undo a revocation that was wrong,
release it with the number of its certificate.`,
		Example: "  tapctl station revoke plant/press/line-4/hmi-1 --reason stolen",
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.RevokeStation(ctx, &taplinev1.RevokeStationRequest{Id: args[0], Reason: reason})
				if err != nil {
					return err
				}
				return show(c, o, r.GetStation(), "station %s revoked", args[0])
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "retired", "a short word: retired, stolen, replaced")
	return c
}
