package session

import (
	"testing"

	"tapline/proto/record"
)

func TestASessionNeverEnforcesMoreThanItsStation(t *testing.T) {
	for _, row := range []struct{ asked, own, want record.Mode }{
		{"", record.ModeLock, record.ModeLock},
		{record.ModeAttribute, record.ModeLock, record.ModeAttribute},
		{record.ModeLock, record.ModeAttribute, record.ModeAttribute},
		{record.ModeGate, record.ModeGate, record.ModeGate},
		{"unheard-of", record.ModeGate, record.ModeGate},
		{record.ModeGate, "", record.ModeGate},
	} {
		if got := lesserMode(row.asked, row.own); got != row.want {
			t.Errorf("asked for %q at a station of %q: %q, want %q", row.asked, row.own, got, row.want)
		}
	}
}
