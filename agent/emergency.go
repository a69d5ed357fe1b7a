package agent

import (
	"context"
	"strings"

	"tapline/agent/session"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// BeginEmergency opens the station, or gives the emergency in force. It returns once the station is open, whatever the disk, the broker and the taps that
// wait are doing: no fault and no word that is said with it keeps a station shut.
func (a *Agent) BeginEmergency(ctx context.Context, reason string) (*taplinev1.BeginEmergencyResponse, error) {
	e, err := a.loop.press(ctx, session.EmergencyPressed{ID: newSession(), Reason: emergencyReason(reason)})
	if err != nil {
		return nil, wire.E(wire.Unavailable, "the station did not take it: %w", err)
	}
	return &taplinev1.BeginEmergencyResponse{Emergency: string(e.ID), ClaimBy: stamp(e.ClaimBy)}, nil
}

// maxReason bounds the word of an emergency.
const maxReason = 40

// emergencyReason is the word as a record takes it.
func emergencyReason(said string) record.Reason {
	if said == "" || len(said) > maxReason || strings.Trim(said, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return "other"
	}
	return record.Reason(said)
}

// ClaimEmergency has the next taps answer for an emergency.
func (a *Agent) ClaimEmergency(ctx context.Context, req *taplinev1.ClaimEmergencyRequest) (*taplinev1.ClaimEmergencyResponse, error) {
	id := record.SessionID(req.GetEmergency())
	if err := a.loop.do(ctx, session.ClaimAsked{Emergency: id, Note: req.GetNote()}); err != nil {
		return nil, wire.E(wire.Unavailable, "%w", err)
	}
	var missing int
	if err := a.loop.look(ctx, func(s session.State) {
		for _, e := range s.Unclaimed() {
			if e.ID == id {
				missing = e.Missing
			}
		}
	}); err != nil {
		return nil, wire.E(wire.Unavailable, "%w", err)
	}
	if missing == 0 {
		return nil, wire.E(wire.NotFound, "no emergency of that name waits for a claim here")
	}
	return &taplinev1.ClaimEmergencyResponse{Missing: uint32(missing)}, nil //nolint:gosec // two at most
}
