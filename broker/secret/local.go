package secret

import (
	"context"
	"errors"
	"strings"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// send asks a station to set the new secret of its own account. It takes it (Take), sets it, makes sure that it is taken, and reports.
func (k *Keeper) send(ctx context.Context, r store.Rotation, a *taplinev1.Account) error {
	again := r.State == store.RotationPending
	r, fresh, err := k.prepared(ctx, r, a)
	if err != nil {
		return err
	}
	fresh.Wipe() // the station comes for it
	if again && r.Said == saidSent {
		r.Tries++ // it was asked and did not report
	}
	r.Said, r.NextAt = saidSent, k.Now().Add(resendAfter)
	if r.Tries >= stuckAfter {
		if err := k.fail(ctx, r, saidUnknown); err != nil {
			return err
		}
	} else if err := k.update(ctx, func(tx *store.Tx) error { return tx.PutRotation(r) }); err != nil {
		return err
	}
	k.Board.Tell(r.Holder, &taplinev1.StreamCommandsResponse{
		Command: r.ID, What: &taplinev1.StreamCommandsResponse_RotateAccount{RotateAccount: &taplinev1.RotateAccount{Account: a.GetId(), Rotation: r.ID}},
	})
	return nil
}

// Report takes what a station says of a rotation. It may be said again.
func (k *Keeper) Report(ctx context.Context, station record.StationID, req *taplinev1.ReportRotationRequest) (*taplinev1.ReportRotationResponse, error) {
	if len(req.GetRotation()) > maxRequest {
		return nil, wire.E(wire.Invalid, "rotation: longer than %d", maxRequest)
	}
	if len(req.GetReason()) > 64 || strings.Trim(req.GetReason(), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return nil, wire.E(wire.Invalid, "reason: a short word of small letters, digits and dashes")
	}
	err := k.update(ctx, func(tx *store.Tx) error {
		r, err := ownRotation(tx, station, req.GetRotation())
		if err != nil || !r.EndedAt.IsZero() {
			return err
		}
		if r.State != store.RotationPending {
			return wire.E(wire.Precondition, "the rotation has not begun")
		}
		a, err := tx.Account(r.Account)
		if errors.Is(err, store.ErrNotFound) {
			return k.cancel(tx, r, saidMissing)
		}
		if err != nil {
			return err
		}
		if !req.GetDone() {
			k.failed.Add(1)
			said := req.GetReason()
			if said == "" {
				said = saidRefused
			}
			return k.noteFailure(tx, r, said)
		}
		k.rotated.Add(1)
		return k.inForce(tx, r, a.GetOldSecretWindow().AsDuration())
	})
	if err != nil {
		return nil, office.Translate(err)
	}
	return &taplinev1.ReportRotationResponse{}, nil
}
