package admin

import (
	"context"
	"slices"
	"strconv"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/policy"
	"tapline/broker/store"
	"tapline/proto/wire"
)

// Taps that one call of ReplayTaps decides again.
const (
	replayPage    = 2000
	maxReplayPage = 10_000
)

// ReplayTaps decides recorded taps again, by the code that decides a tap, under the set in force and under a draft. It changes nothing.
func (s *Service) ReplayTaps(ctx context.Context, req *taplinev1.ReplayTapsRequest) (*taplinev1.ReplayTapsResponse, error) {
	draft, err := policy.Load(req.GetText())
	if err != nil {
		return nil, wire.E(wire.Invalid, "text: %w", err)
	}
	if req.GetSince() == nil || !req.GetSince().IsValid() {
		return nil, wire.E(wire.Invalid, "since: missing or out of range")
	}
	size := replayPage
	if n := req.GetPageSize(); n > 0 {
		size = int(min(n, maxReplayPage))
	}
	var after uint64
	if t := req.GetPageToken(); t != "" {
		if after, err = strconv.ParseUint(t, 10, 63); err != nil {
			return nil, wire.E(wire.Invalid, "page_token: not one that ReplayTaps gave")
		}
	}
	var taps []store.Tap
	var now *policy.Set
	err = s.View(ctx, func(tx *store.Tx) (err error) {
		if now, err = s.Rules.InForce(tx); err != nil {
			return err
		}
		taps, err = tx.Taps(req.GetSince().AsTime(), after, size)
		return err
	})
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ReplayTapsResponse{PolicyVersion: now.Version(), DraftVersion: draft.Version(), Replayed: uint32(len(taps))}
	for _, t := range taps {
		if err := ctx.Err(); err != nil {
			return nil, wire.E(wire.Cancelled, "replay: %w", err)
		}
		r, err := policy.ReadFacts(t.Facts)
		if err != nil {
			return nil, err
		}
		a, b := now.Admit(r), draft.Admit(r)
		if a.Allowed == b.Allowed && a.Refusal == b.Refusal && a.Moves == b.Moves {
			continue
		}
		resp.Differences = append(resp.Differences, &taplinev1.ReplayedTap{
			At: timestamppb.New(t.At), Station: string(t.Station), Person: string(t.Person), Now: message(a), Draft: message(b),
		})
	}
	if len(taps) == size {
		resp.NextPageToken = strconv.FormatUint(taps[len(taps)-1].Number, 10)
	}
	return resp, nil
}

// message is a decision that has no effect.
func message(d policy.Decision) *taplinev1.Decision {
	return &taplinev1.Decision{Allowed: d.Allowed, Refusal: d.Refusal, PolicyVersion: d.Version, Rules: slices.Clone(d.Rules)}
}
