package admin

import (
	"context"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/directory"
	"tapline/broker/office"
	"tapline/broker/session"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// PutAccount makes or changes a shared account.
func (s *Service) PutAccount(ctx context.Context, req *taplinev1.PutAccountRequest) (*taplinev1.PutAccountResponse, error) {
	a := req.GetAccount()
	if err := directory.CheckAccount(a); err != nil {
		return nil, err
	}
	if !s.Secrets.CanKeepIn(a.GetVault()) {
		return nil, wire.E(wire.Precondition, "account.vault: the broker has no vault %s: set openbao in its configuration, and try it with tapbroker check", a.GetVault())
	}
	if !s.Secrets.CanChange(a.GetDriver()) {
		return nil, wire.E(wire.Precondition, "account.driver: the broker has no directory to change passwords in: set ldap in its configuration, and try it with tapbroker check")
	}
	err := s.Change(ctx, "PutAccount", a.GetId(), req, func(tx *store.Tx) (err error) {
		if a.Revision, err = tx.PutAccount(a); err != nil {
			return err
		}
		return tx.Changed()
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return &taplinev1.PutAccountResponse{Account: a}, nil
}

// ListAccounts lists shared accounts.
func (s *Service) ListAccounts(ctx context.Context, req *taplinev1.ListAccountsRequest) (*taplinev1.ListAccountsResponse, error) {
	p, err := office.PageOf(req)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ListAccountsResponse{}
	err = s.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Accounts(p)
		resp.Accounts, resp.NextPageToken = office.Cut(p, found, (*taplinev1.Account).GetId)
		return err
	})
	return resp, err
}

// DeleteAccount removes a shared account that no station runs under.
func (s *Service) DeleteAccount(ctx context.Context, req *taplinev1.DeleteAccountRequest) (*taplinev1.DeleteAccountResponse, error) {
	err := s.Change(ctx, "DeleteAccount", req.GetId(), req, func(tx *store.Tx) error {
		user, err := tx.AccountUser(record.AccountID(req.GetId()))
		if err != nil {
			return err
		}
		if user != "" {
			return wire.E(wire.Precondition, "station %s runs under account %s", user, req.GetId())
		}
		if err := tx.DeleteAccount(record.AccountID(req.GetId())); err != nil {
			return err
		}
		if err := tx.DropAccountSecrets(record.AccountID(req.GetId()), s.Now()); err != nil {
			return err
		}
		return tx.Changed()
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return &taplinev1.DeleteAccountResponse{}, nil
}

// ListLeases lists leases in force.
func (s *Service) ListLeases(ctx context.Context, req *taplinev1.ListLeasesRequest) (*taplinev1.ListLeasesResponse, error) {
	p, err := office.PageOf(req)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ListLeasesResponse{}
	err = s.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Leases(record.AccountID(req.GetAccount()), p)
		if err != nil {
			return err
		}
		found, resp.NextPageToken = office.Cut(p, found, func(l store.Lease) string { return l.ID })
		for _, l := range found {
			resp.Leases = append(resp.Leases, &taplinev1.HeldLease{
				Lease:   &taplinev1.Lease{Id: l.ID, Account: string(l.Account), Fence: uint64(l.Fence), ExpiresAt: office.Stamp(l.ExpiresAt)},
				Session: string(l.Session), Station: string(l.Station), Person: string(l.Person), OpenedAt: office.Stamp(l.OpenedAt),
			})
		}
		return nil
	})
	return resp, err
}

// EndLease ends a lease, and tells the station to end its session.
func (s *Service) EndLease(ctx context.Context, req *taplinev1.EndLeaseRequest) (*taplinev1.EndLeaseResponse, error) {
	if err := office.Word("reason", req.GetReason()); err != nil {
		return nil, err
	}
	var l store.Lease
	err := s.Change(ctx, "EndLease", req.GetId(), req, func(tx *store.Tx) (err error) {
		if l, err = tx.LeaseByID(req.GetId()); err != nil {
			return err
		}
		return tx.EndLease(l.ID, session.CauseWord(taplinev1.EndCause_END_CAUSE_REVOKED), s.Now())
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return &taplinev1.EndLeaseResponse{}, nil
}

// life reads how long a token shall be good.
func life(d interface {
	AsDuration() time.Duration
	IsValid() bool
}, set bool, normal, most time.Duration,
) (time.Duration, error) {
	if !set {
		return normal, nil
	}
	if !d.IsValid() || d.AsDuration() < 0 || d.AsDuration() > most {
		return 0, wire.E(wire.Invalid, "lifetime: more than 0, at most %s", most)
	}
	if d.AsDuration() == 0 {
		return normal, nil
	}
	return d.AsDuration(), nil
}
