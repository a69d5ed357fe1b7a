package main

import (
	"testing"

	taplinev1 "tapline/proto/tapline/v1"
)

// An emergency is not shown as the session of whoever answered for it.
func TestAnEmergencyIsNobodysSession(t *testing.T) {
	for want, s := range map[string]*taplinev1.Session{
		"p-1  Anna B.":                        {Person: "p-1", DisplayName: "Anna B.", DecidedBy: "broker"},
		"(emergency)":                         {DecidedBy: "emergency"},
		"(emergency) claimed by p-1  Anna B.": {Person: "p-1", DisplayName: "Anna B.", DecidedBy: "emergency"},
	} {
		if got := sessionPerson(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
