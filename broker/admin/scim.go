package admin

import (
	"context"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/directory"
	"tapline/broker/office"
	"tapline/broker/scim"
	"tapline/broker/store"
	"tapline/proto/wire"
)

// CreateScimToken makes a token for a SCIM client.
func (s *Service) CreateScimToken(ctx context.Context, req *taplinev1.CreateScimTokenRequest) (*taplinev1.CreateScimTokenResponse, error) {
	if err := directory.CheckPerson(&taplinev1.PersonEntry{Id: req.GetName()}); err != nil {
		return nil, wire.E(wire.Invalid, "name: 1 to 64 letters, digits, dots, dashes, underscores or @")
	}
	lifetime, err := life(req.GetLifetime(), req.GetLifetime() != nil, scim.TokenLife, scim.MaxTokenLife)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.CreateScimTokenResponse{}
	err = s.Change(ctx, "CreateScimToken", req.GetName(), req, func(tx *store.Tx) error {
		t, secret, err := scim.NewToken(tx, req.GetName(), office.Caller(ctx), lifetime, s.Now())
		resp.Token, resp.Secret = scimTokenMessage(t), secret
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// ListScimTokens lists tokens of SCIM clients.
func (s *Service) ListScimTokens(ctx context.Context, req *taplinev1.ListScimTokensRequest) (*taplinev1.ListScimTokensResponse, error) {
	p, err := office.PageOf(req)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ListScimTokensResponse{}
	err = s.View(ctx, func(tx *store.Tx) error {
		found, err := tx.ScimTokens(p)
		if err != nil {
			return err
		}
		found, resp.NextPageToken = office.Cut(p, found, func(t store.ScimToken) string { return t.ID })
		for _, t := range found {
			resp.Tokens = append(resp.Tokens, scimTokenMessage(t))
		}
		return nil
	})
	return resp, err
}

// RevokeScimToken makes a token worthless.
func (s *Service) RevokeScimToken(ctx context.Context, req *taplinev1.RevokeScimTokenRequest) (*taplinev1.RevokeScimTokenResponse, error) {
	err := s.Change(ctx, "RevokeScimToken", req.GetId(), req, func(tx *store.Tx) error { return tx.RevokeScimToken(req.GetId(), s.Now()) })
	if err != nil {
		return nil, err
	}
	return &taplinev1.RevokeScimTokenResponse{}, nil
}

func scimTokenMessage(t store.ScimToken) *taplinev1.ScimToken {
	return &taplinev1.ScimToken{
		Id: t.ID, Name: t.Name, CreatedAt: office.Stamp(t.MadeAt), CreatedBy: t.MadeBy, ExpiresAt: office.Stamp(t.ExpiresAt),
		LastUsedAt: office.Stamp(t.LastUsedAt), Revoked: !t.RevokedAt.IsZero(),
	}
}
