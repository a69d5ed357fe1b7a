package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	taplinev1 "tapline/proto/tapline/v1"
)

// The worst that there is to say of a station fits on the screen of a terminal, 80 by 24, what to do on top.
func TestTheStatusOfABadDayFitsOnAScreen(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(now.Add(d)) }
	st := &taplinev1.GetStatusResponse{
		Build: "0.4.0", Station: "plant/packing/line-3/press-4", StartedAt: at(-3 * time.Hour),
		Presence: &taplinev1.Presence{
			State: taplinev1.PresenceState_PRESENCE_STATE_NAMED, Session: "s", Since: at(-12 * time.Minute), DecidedBy: "bundle",
			Person: &taplinev1.Person{Id: "p-1", DisplayName: "Anna B."}, Mode: taplinev1.Mode_MODE_ATTRIBUTE,
		},
		Readers: []*taplinev1.ReaderStatus{{Name: "ACS ACR122U PICC Interface 00 00", Attached: true, LastTapAt: at(-12 * time.Minute)}},
		Broker:  &taplinev1.BrokerStatus{Address: "broker.plant.example:8443", Since: at(-4 * 24 * time.Hour), Reason: "connection refused"},
		Bundle:  &taplinev1.BundleStatus{Sequence: 812, IssuedAt: at(-4 * 24 * time.Hour), NotAfter: at(26 * 24 * time.Hour), Tier: "essential"}, BundleBadges: 431,
		Journal: &taplinev1.JournalStatus{Seq: 20_412, Acked: 19_001, Epoch: 30, Bytes: 40 << 20, FreeBytes: 900 << 20, DaysLeft: 60, Degraded: true, Reason: "disk-full"},
		Today:   &taplinev1.CoverageStatus{Named: durationpb.New(7 * time.Hour)}, ClockState: "differs", ClockError: durationpb.New(40 * time.Millisecond),
		KeyStore: "root-only files in /var/lib/tapline-agent/keys", JoinSequence: 4, CertificateExpiresAt: at(70 * time.Hour), Page: "127.0.0.1:8750",
		Taps: &taplinev1.TapStatus{Count: 300, P50: durationpb.New(1100 * time.Microsecond), P99: durationpb.New(2300 * time.Microsecond)},
		Findings: []*taplinev1.Finding{
			{Severity: taplinev1.Severity_SEVERITY_FAULT, Part: "journal", What: "records cannot be written (disk-full): they are kept in memory", Hint: "see that the disk has space"},
			{Severity: taplinev1.Severity_SEVERITY_WARNING, Part: "broker", What: "the broker is away; taps are decided by the grants", Hint: "see that the broker runs"},
		},
	}
	for range 6 {
		st.Troubles = append(st.Troubles, &taplinev1.Trouble{
			At: at(-time.Minute), FirstAt: at(-time.Hour), Count: 212, Part: "uplink", What: "the line to the broker failed: " + strings.Repeat("connection refused, ", 9),
		})
	}
	var out bytes.Buffer
	if err := printStatus(&out, st, now); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) > 24 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if utf8.RuneCountInString(line) > screenWide {
			t.Errorf("%d characters: %s", utf8.RuneCountInString(line), line)
		}
	}
	if !strings.HasPrefix(lines[1], "FAULT     records cannot be written") || !strings.HasPrefix(lines[2], "  do      see that") {
		t.Errorf("the screen begins\n%s", out.String())
	}
	if !strings.Contains(out.String(), "212 times, last 1 min ago, uplink") {
		t.Errorf("no count of the troubles in\n%s", out.String())
	}
	if err := health(st, false); err == nil || !strings.Contains(err.Error(), "1 fault and 1 warning") {
		t.Errorf("health %v", err)
	}
	st.Findings = st.Findings[1:]
	if health(st, false) != nil || health(st, true) == nil {
		t.Error("a warning is a fault only when asked")
	}
}

func TestLinesAreBrokenBetweenWords(t *testing.T) {
	for text, want := range map[string][2]string{
		"short":          {"short", ""},
		"one two three":  {"one two", "three"},
		"exactlyten":     {"exactlyten", ""},
		"alongwordalone": {"alongwordalone", ""},
		"alongwordalone and": {
			"alongwordalone", "and",
		},
	} {
		if here, rest := wrap(text, 10); here != want[0] || rest != want[1] {
			t.Errorf("%q: %q, %q", text, here, rest)
		}
	}
}

// Nobody who asks how a station is takes one that is open to everybody for one that is idle.
func TestTheStatusNamesTheEmergency(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	got := whoText(&taplinev1.Presence{
		State:     taplinev1.PresenceState_PRESENCE_STATE_EMERGENCY,
		Emergency: &taplinev1.Emergency{Id: "e", Reason: "jam", Since: timestamppb.New(now.Add(-time.Minute))},
	}, now)
	if !strings.HasPrefix(got, "EMERGENCY (jam) for ") || !strings.Contains(got, "tapagent emergency end") {
		t.Errorf("got %q", got)
	}
}
