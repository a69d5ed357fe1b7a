package admin

import (
	"context"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/proto"

	"tapline/broker/office"
	"tapline/broker/secret"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/record"
)

// SetAccountSecret takes the secret of a shared account as a person has set it.
func (s *Service) SetAccountSecret(ctx context.Context, req *taplinev1.SetAccountSecretRequest) (*taplinev1.SetAccountSecretResponse, error) {
	defer vault.Secret(req.GetSecret()).Wipe()
	placed, err := s.Secrets.Place(ctx, req)
	if err != nil {
		return nil, office.Translate(err)
	}
	redacted := proto.CloneOf(req)
	redacted.Secret = nil
	resp := &taplinev1.SetAccountSecretResponse{}
	err = s.Change(ctx, "SetAccountSecret", req.GetAccount(), redacted, func(tx *store.Tx) error {
		if err := s.Secrets.PutInForce(tx, placed, office.Caller(ctx)); err != nil {
			return err
		}
		all, err := secret.Status(tx, record.AccountID(req.GetAccount()))
		for _, m := range all {
			if m.GetStation() == req.GetStation() {
				resp.Secret = m
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// ListAccountSecrets tells how the secrets of shared accounts stand.
func (s *Service) ListAccountSecrets(ctx context.Context, req *taplinev1.ListAccountSecretsRequest) (*taplinev1.ListAccountSecretsResponse, error) {
	p, err := office.PageOf(req)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ListAccountSecretsResponse{}
	err = s.View(ctx, func(tx *store.Tx) error {
		all, err := secret.Status(tx, record.AccountID(req.GetAccount()))
		if err != nil {
			return err
		}
		var found []*taplinev1.AccountSecret
		for _, m := range all {
			if secret.Token(m) > p.After && len(found) < p.Size {
				found = append(found, m)
			}
		}
		resp.Secrets, resp.NextPageToken = office.Cut(p, found, secret.Token)
		return nil
	})
	return resp, err
}

// RotateAccountSecret asks for a new secret of a shared account.
func (s *Service) RotateAccountSecret(ctx context.Context, req *taplinev1.RotateAccountSecretRequest) (*taplinev1.RotateAccountSecretResponse, error) {
	resp := &taplinev1.RotateAccountSecretResponse{}
	err := s.Change(ctx, "RotateAccountSecret", req.GetAccount(), req, func(tx *store.Tx) error {
		slots, err := s.Secrets.Want(tx, req.GetAccount(), record.StationID(req.GetStation()), req.GetNow())
		if err != nil {
			return err
		}
		wanted := map[string]bool{}
		for _, slot := range slots {
			wanted[string(slot.Holder)] = true
		}
		all, err := secret.Status(tx, record.AccountID(req.GetAccount()))
		for _, m := range all {
			if wanted[m.GetStation()] {
				resp.Secrets = append(resp.Secrets, m)
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.Secrets.Nudge()
	return resp, nil
}
