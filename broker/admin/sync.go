package admin

import (
	"context"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/office"
	"tapline/broker/roster"
	"tapline/broker/store"
	"tapline/broker/sync"
	"tapline/proto/wire"
)

// noSync is the answer where no directory is configured.
func noSync() error {
	return wire.E(wire.Precondition, "no LDAP directory is configured: see the key ldap of the broker's configuration")
}

// GetSync tells how the synchronisation is.
func (s *Service) GetSync(ctx context.Context, _ *taplinev1.GetSyncRequest) (*taplinev1.GetSyncResponse, error) {
	if s.Sync == nil {
		return &taplinev1.GetSyncResponse{}, nil
	}
	state, err := s.Sync.Look(ctx)
	if err != nil {
		return nil, err
	}
	return &taplinev1.GetSyncResponse{State: syncMessage(state)}, nil
}

// RunSync reads the whole directory.
func (s *Service) RunSync(ctx context.Context, req *taplinev1.RunSyncRequest) (*taplinev1.RunSyncResponse, error) {
	if s.Sync == nil {
		return nil, noSync()
	}
	if !req.GetDryRun() {
		if err := s.Change(ctx, "RunSync", roster.LDAP, req, func(*store.Tx) error { return nil }); err != nil {
			return nil, err
		}
	}
	r, err := s.Sync.Full(ctx, req.GetDryRun())
	if err != nil {
		return nil, err
	}
	o := r.Outcome
	resp := &taplinev1.RunSyncResponse{
		Added: uint32(o.Added), Changed: uint32(o.Changed), Unchanged: uint32(o.Unchanged), Left: uint32(o.Left), Held: o.Held, State: syncMessage(r.State),
	}
	for _, c := range o.Changes[:min(len(o.Changes), maxChanges)] {
		resp.Changes = append(resp.Changes, &taplinev1.ImportChange{Person: string(c.Person), Kind: string(c.Kind), What: c.What})
	}
	return resp, nil
}

// AcceptSync lets a difference through that the brake holds.
func (s *Service) AcceptSync(ctx context.Context, req *taplinev1.AcceptSyncRequest) (*taplinev1.AcceptSyncResponse, error) {
	if s.Sync == nil {
		return nil, noSync()
	}
	if err := office.Word("difference", req.GetDifference()); err != nil {
		return nil, err
	}
	err := s.Change(ctx, "AcceptSync", req.GetDifference(), req, func(tx *store.Tx) error { return s.Sync.Accept(tx, req.GetDifference()) })
	if err != nil {
		return nil, err
	}
	s.Sync.Wake()
	return &taplinev1.AcceptSyncResponse{}, nil
}

func syncMessage(s sync.State) *taplinev1.SyncState {
	return &taplinev1.SyncState{
		Server: s.Server, Kind: s.Kind, Changes: s.Changes, LastOkAt: office.Stamp(s.LastOK), FullAt: office.Stamp(s.FullAt), People: uint32(max(0, s.People)),
		FailingSince: office.Stamp(s.FailingSince), Fault: s.Fault, Held: s.Held, Difference: s.Difference, Faults: s.Faults,
		FaultCount: uint32(s.FaultCount), Referrals: uint32(s.Referrals), Notes: s.Notes,
	}
}
