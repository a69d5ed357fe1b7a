package agent

import (
	"fmt"
	"slices"
	"time"

	"tapline/agent/station"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

const (
	warning = taplinev1.Severity_SEVERITY_WARNING
	fault   = taplinev1.Severity_SEVERITY_FAULT
)

const (
	certificateLow = 48 * time.Hour           // a certificate that ends sooner should have been renewed long ago
	bundleLow      = 24 * time.Hour           // a bundle that ends sooner should have been replaced long ago
	backlogLow     = 1000                     // so many records without a receipt, while the broker is there, are too many
	bundleOld      = 24*time.Hour + time.Hour // while the broker is there a bundle is renewed every hour
)

// findings says what needs somebody's eye, faults first, by what a status says. Nothing of it is more than words of kinds: no error's text.
func findings(s *taplinev1.GetStatusResponse, now time.Time) []*taplinev1.Finding {
	var all []*taplinev1.Finding
	say := func(how taplinev1.Severity, part, hint, what string, args ...any) {
		all = append(all, &taplinev1.Finding{Severity: how, Part: part, What: fmt.Sprintf(what, args...), Hint: hint})
	}
	readerFindings(s, say)
	lineFindings(s, now, say)
	journalFindings(s.GetJournal(), s.GetBroker().GetConnected(), say)
	identityFindings(s, now, say)
	modeFindings(s.GetMode(), say)
	if c := s.GetClockState(); c == "differs" || c == "stepped" {
		say(warning, "clock", "let a time service set this machine's clock", "the clock does not agree with the broker's (%s)", c)
	}
	slices.SortStableFunc(all, func(x, y *taplinev1.Finding) int { return int(y.GetSeverity()) - int(x.GetSeverity()) })
	return all
}

// modeFindings says that the station enforces less than it should, and what would change that.
func modeFindings(m *taplinev1.ModeStatus, say sayer) {
	if m.GetReason() == "" {
		return
	}
	hints := map[record.Reason]string{
		station.NoHelper:       "start \"tapagent gate\" in the graphical session",
		station.HelperSilent:   "start \"tapagent gate\" in the graphical session anew",
		station.Wayland:        "run the graphical session on X11",
		station.NoDisplay:      "see why the X server is away",
		station.GrabRefused:    "close the program that holds keyboard or pointer, such as a screen saver",
		station.ReleasedByHand: "the next tap puts it right",
		station.NoPAM:          "name pam_tapline.so in /etc/pam.d, as the installer's README says",
		station.Unsupported:    "set another mode: this build does not have it here",
	}
	say(warning, "mode", hints[record.Reason(m.GetReason())], "the station enforces less than it should: %s and not %s (%s)",
		modeWord(m.GetInForce()), modeWord(m.GetWanted()), m.GetReason())
}

// sayer notes a finding.
type sayer func(how taplinev1.Severity, part, hint, what string, args ...any)

func readerFindings(s *taplinev1.GetStatusResponse, say sayer) {
	working := 0
	for _, r := range s.GetReaders() {
		if r.GetAttached() {
			working++
		}
	}
	const hint = "plug it in, and see that the smart card service runs: \"tapagent check\""
	switch {
	case len(s.GetReaders()) == 0:
		say(fault, "readers", hint, "no reader is there: nobody can tap")
	case working == 0:
		say(fault, "readers", hint, "no reader works: nobody can tap")
	default:
		for _, r := range s.GetReaders() {
			if !r.GetAttached() {
				say(warning, "readers", hint, "the reader %s is away (%s)", r.GetName(), r.GetReason())
			}
		}
	}
}

func lineFindings(s *taplinev1.GetStatusResponse, now time.Time, say sayer) {
	b, grants := s.GetBroker(), s.GetBundle()
	left := grants.GetNotAfter().AsTime().Sub(now)
	const hint = "see that the broker runs and that the network lets this machine reach it: \"tapagent check\" tries"
	if !b.GetConnected() {
		say(warning, "broker", hint, "the broker is away (%s); taps are decided by the grants on this station", b.GetReason())
	}
	switch {
	case grants.GetSequence() == 0 && !b.GetConnected():
		say(fault, "grants", hint, "no grants and no broker: nobody gets in but by the emergency button")
	case grants.GetSequence() == 0:
		say(warning, "grants", "they come from the broker within an hour", "no grants yet: without the broker nobody would get in")
	case grants.GetTier() == "emergency" || left <= 0:
		say(fault, "grants", hint, "the grants are too old: nobody gets in without the broker but by the emergency button")
	case grants.GetTier() == "essential":
		say(warning, "grants", hint, "the grants are old: essential roles alone get in without the broker")
	case left < bundleLow:
		say(warning, "grants", hint, "the grants end in %.0f h", left.Hours())
	case b.GetConnected() && now.Sub(grants.GetIssuedAt().AsTime()) > bundleOld && now.Sub(b.GetSince().AsTime()) > 2*time.Hour:
		say(warning, "grants", "ask the broker's administrator why it sends no newer ones", "the grants are %.0f h old though the broker is there", now.Sub(grants.GetIssuedAt().AsTime()).Hours())
	}
}

func journalFindings(j *taplinev1.JournalStatus, connected bool, say sayer) {
	waiting := j.GetSeq() - min(j.GetAcked(), j.GetSeq())
	switch {
	case j.GetDegraded():
		say(fault, "journal", "see that the disk has space, is not read-only and is not failing", "records cannot be written (%s): they are kept in memory, and lost if the agent ends", j.GetReason())
	case j.GetLow():
		say(warning, "journal", "make room on that disk, or bring the broker back", "the journal's disk has %d MB free", j.GetFreeBytes()>>20)
	case connected && waiting > backlogLow:
		say(warning, "journal", "ask the broker's administrator whether it takes records", "%d records are not yet at the broker though it is there", waiting)
	}
}

func identityFindings(s *taplinev1.GetStatusResponse, now time.Time, say sayer) {
	left := s.GetCertificateExpiresAt().AsTime().Sub(now)
	switch c := s.GetIdentityCondition(); c {
	case "":
		if left < certificateLow {
			say(warning, "certificate", "it is renewed by itself when the broker answers", "the certificate ends in %.0f h", max(0, left.Hours()))
		}
	case "identity-cloned":
		say(fault, "identity", fmt.Sprintf("if this is the real machine, the administrator releases it: tapctl station release %s --number %d", s.GetStation(), s.GetJoinSequence()),
			"the broker has met a copy of this station and quarantined both")
	case "identity-revoked":
		say(fault, "identity", "to come back it needs a new token: tapagent enrol --replace", "an administrator has revoked this station")
	case "identity-needs-approval":
		say(fault, "identity", "the administrator sees which: tapctl station show "+s.GetStation(), "this station was away too long, or is quarantined")
	case "identity-expired":
		say(warning, "identity", "it comes back by itself when the broker answers", "the certificate has expired")
	case "identity-renewal-late":
		say(warning, "identity", "see why the broker does not answer: \"tapagent check\"", "the certificate is late to be renewed")
	default:
		say(warning, "identity", "ask an administrator of the broker about this station", "%s", c)
	}
}
