package main

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	taplinev1 "tapline/proto/tapline/v1"
)

func TestAStationsScreenSaysWhatToDoNext(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	days := func(n int) *timestamppb.Timestamp { return timestamppb.New(now.AddDate(0, 0, n)) }
	enrolled := func(ends, recovers int) *taplinev1.GetStationResponse {
		return &taplinev1.GetStationResponse{
			Station: &taplinev1.Station{
				Id: "plant/a/b/c", State: taplinev1.StationState_STATION_STATE_ENROLLED, CertificateExpiresAt: days(ends), JoinSequence: 17,
			},
			Identity: &taplinev1.StationIdentity{Fingerprint: "ab", JoinSequence: 17, RecoversUntil: days(recovers)},
		}
	}
	quarantined := enrolled(3, 183)
	quarantined.Station.State, quarantined.Station.StateReason = taplinev1.StationState_STATION_STATE_QUARANTINED, "clone"
	quarantined.Identity.Copies = []*taplinev1.StationCopy{{JoinSequence: 16, LastSeenAt: days(0)}}
	revoked := enrolled(3, 183)
	revoked.Station.State, revoked.Station.StateReason = taplinev1.StationState_STATION_STATE_REVOKED, "stolen"
	for says, row := range map[string]struct {
		r    *taplinev1.GetStationResponse
		want []string
	}{
		"a station that is well":         {enrolled(3, 183), []string{"number 17, good for 3d00h", "next          nothing"}},
		"one that comes back by itself":  {enrolled(-20, 160), []string{"expired 20 days ago", "next          nothing"}},
		"one that was away for too long": {enrolled(-200, -20), []string{"tapctl station approve plant/a/b/c"}},
		"one of which there are two":     {quarantined, []string{"two copies", "copy        number 16", "tapctl station release plant/a/b/c --number N"}},
		"one that is revoked":            {revoked, []string{"revoked: stolen", "tapctl token create plant/a/b/c"}},
		"one that never enrolled": {
			&taplinev1.GetStationResponse{Station: &taplinev1.Station{Id: "plant/a/b/c", State: taplinev1.StationState_STATION_STATE_PENDING}},
			[]string{"tapctl token create plant/a/b/c"},
		},
	} {
		var out strings.Builder
		if err := printStation(&out, row.r, now); err != nil {
			t.Fatal(err)
		}
		for _, want := range row.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", says, want, out.String())
			}
		}
	}
}

func TestTheAuthoritysScreenSaysWhichStepComesWhen(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	root := func(state taplinev1.RootState, from int) *taplinev1.RootCertificate {
		return &taplinev1.RootCertificate{State: state, NextFrom: timestamppb.New(now.AddDate(0, 0, from))}
	}
	signs := &taplinev1.RootCertificate{State: taplinev1.RootState_ROOT_STATE_ISSUING}
	published, retiring := taplinev1.RootState_ROOT_STATE_PUBLISHED, taplinev1.RootState_ROOT_STATE_RETIRING
	for says, row := range map[string]struct {
		r    *taplinev1.GetAuthorityResponse
		want string
	}{
		"one root":                    {&taplinev1.GetAuthorityResponse{Roots: []*taplinev1.RootCertificate{signs}}, "next     nothing"},
		"published lately":            {&taplinev1.GetAuthorityResponse{Roots: []*taplinev1.RootCertificate{root(published, 9), signs}}, "tapctl ca rotate issue, from"},
		"published for long":          {&taplinev1.GetAuthorityResponse{Roots: []*taplinev1.RootCertificate{root(published, -1), signs}}, "tapctl ca rotate issue\n"},
		"retiring, and known to all":  {&taplinev1.GetAuthorityResponse{Roots: []*taplinev1.RootCertificate{signs, root(retiring, -1)}}, "tapctl ca rotate retire\n"},
		"retiring, and not known yet": {&taplinev1.GetAuthorityResponse{Roots: []*taplinev1.RootCertificate{signs, root(retiring, -1)}, Unaware: []string{"a/b/c/d"}}, "bring the stations above on the line"},
	} {
		var out strings.Builder
		if err := printAuthority(&out, row.r, now); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), row.want) {
			t.Errorf("%s: no %q in\n%s", says, row.want, out.String())
		}
	}
}

func TestCommandsOfTheIdentityTeach(t *testing.T) {
	for _, args := range [][]string{
		{"station", "release"}, {"station", "approve"}, {"station", "revoke"}, {"station", "show"}, {"ca", "rotate"},
	} {
		_, out, _ := run(t, append(args, "--help")...)
		if !strings.Contains(out, "Examples:") || len(out) < 400 {
			t.Errorf("%v does not teach:\n%s", args, out)
		}
	}
	for _, args := range [][]string{{"station", "release", "a/b/c/d"}, {"station", "release", "a/b/c/d", "--number", "1", "--serial", "ab"}, {"ca", "rotate", "leap"}} {
		if code, _, said := run(t, args...); code == 0 || !strings.Contains(said, "hint: ") {
			t.Errorf("%v: %d, %s", args, code, said)
		}
	}
}
