package officer

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/identity"
	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/wire"
)

// Limits of what a caller without a certificate sends.
const (
	maxSecret  = 256
	maxIDToken = 16 << 10
)

// InviteOfficer makes an invitation.
func (s *Service) InviteOfficer(ctx context.Context, req *taplinev1.InviteOfficerRequest) (*taplinev1.InviteOfficerResponse, error) {
	role := wire.Role(req.GetRole())
	if err := CheckName("name", req.GetName()); err != nil {
		return nil, err
	}
	if !role.Officer() {
		return nil, wire.E(wire.Invalid, "role: want admin, security, supervisor, helpdesk or auditor")
	}
	if err := mayGive(ctx, role); err != nil {
		return nil, err
	}
	lasts, err := span("lifetime", req.GetLifetime(), identity.InvitationLife, time.Minute, identity.MaxInvitationLife)
	if err != nil {
		return nil, err
	}
	life, err := span("certificate_life", req.GetCertificateLife(), identity.OfficerLife, identity.MinOfficerLife, identity.PersonLife)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, 24)
	_, _ = rand.Read(raw)
	now := s.Now()
	word := wire.Invitation{
		Secret: base64.RawURLEncoding.EncodeToString(raw), Name: req.GetName(), Brokers: s.Brokers(), Root: s.Authority.Pin(),
		Expires: now.Add(lasts).UTC().Truncate(time.Second),
	}
	resp := &taplinev1.InviteOfficerResponse{Secret: word.Encode(), ExpiresAt: timestamppb.New(word.Expires)}
	err = s.Change(ctx, "InviteOfficer", req.GetName(), req, func(tx *store.Tx) error {
		o, err := s.invited(ctx, tx, req.GetName(), role)
		if err != nil {
			return err
		}
		o.Life = life
		resp.Officer = message(o)
		return errors.Join(tx.PutOfficer(o), tx.AddInvitation(store.Invitation{Hash: hashSecret(word.Secret), Officer: o.Name, MadeAt: now, ExpiresAt: word.Expires}))
	})
	if err != nil {
		return nil, err
	}
	s.Forget(req.GetName())
	return resp, nil
}

// invited is the officer that an invitation is for: a new one, or the one there is in the role that it shall have. The former role's certificates end.
func (s *Service) invited(ctx context.Context, tx *store.Tx, name string, role wire.Role) (store.Officer, error) {
	o, err := tx.Officer(name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Officer{Name: name, Role: role, Source: SourceInvite, AddedAt: s.Now(), AddedBy: office.Caller(ctx)}, nil
	case err != nil:
		return o, err
	case o.Source == SourceOIDC:
		return o, wire.E(wire.Exists, "name: %s logs in by OIDC; the role comes from the issuer's groups", name)
	}
	if err := mayGive(ctx, o.Role); err != nil {
		return o, err
	}
	if o.Role != role {
		if err := tx.RevokeOfficerCertificates(name, s.Now()); err != nil {
			return o, err
		}
	}
	o.Role, o.RevokedAt, o.Reason = role, time.Time{}, ""
	return o, nil
}

// span reads how long something lasts.
func span(field string, d *durationpb.Duration, normal, least, most time.Duration) (time.Duration, error) {
	if d == nil || d.IsValid() && d.AsDuration() == 0 {
		return normal, nil
	}
	if !d.IsValid() || d.AsDuration() < least || d.AsDuration() > most {
		return 0, wire.E(wire.Invalid, "%s: want %s to %s", field, least, most)
	}
	return d.AsDuration(), nil
}

// hashSecret needs no salt and no slowness: a secret is 192 random bits.
func hashSecret(plain string) []byte { return digest([]byte("tapline invitation v1"), []byte(plain)) }

// GetLogin says how one logs in.
func (s *Service) GetLogin(context.Context, *taplinev1.GetLoginRequest) (*taplinev1.GetLoginResponse, error) {
	resp := &taplinev1.GetLoginResponse{BrokerTime: timestamppb.New(s.Now())}
	if s.Issuer != nil {
		d := s.Issuer.Describe()
		resp.Issuer, resp.ClientId, resp.Scopes, resp.IssuerRoots = d.Issuer, d.ClientID, d.Scopes, d.Roots
	}
	return resp, nil
}

// Login trades what shows who somebody is for a certificate.
func (s *Service) Login(ctx context.Context, req *taplinev1.LoginRequest) (*taplinev1.LoginResponse, error) {
	var id *taplinev1.OfficerIdentity
	var err error
	switch p := req.GetProof().(type) {
	case *taplinev1.LoginRequest_Invitation:
		id, err = s.redeem(ctx, p.Invitation, req.GetCsr())
	case *taplinev1.LoginRequest_IdToken:
		id, err = s.trade(ctx, p.IdToken, req.GetCsr())
	default:
		err = wire.E(wire.Invalid, "invitation, id_token: give one of them")
	}
	if err != nil {
		return nil, err
	}
	return &taplinev1.LoginResponse{Identity: id}, nil
}

// redeem trades an invitation. The same request again gets the same answer, in case the first was lost.
func (s *Service) redeem(ctx context.Context, secret string, csr []byte) (*taplinev1.OfficerIdentity, error) {
	if secret == "" || len(secret) > maxSecret {
		return nil, wire.E(wire.Invalid, "invitation: %d characters, want 1 to %d", len(secret), maxSecret)
	}
	hash, request := hashSecret(secret), digest([]byte(secret), csr)
	bad := wire.E(wire.Unauthenticated, "invitation: unknown, used or expired; ask for a new one")
	var o store.Officer
	look := func(tx *store.Tx) (i store.Invitation, err error) {
		if i, err = tx.InvitationByHash(hash); err != nil || s.Now().After(i.ExpiresAt) || !i.UsedAt.IsZero() && string(i.Request) != string(request) {
			if err == nil || errors.Is(err, store.ErrNotFound) {
				err = bad
			}
			return i, err
		}
		o, err = tx.Officer(i.Officer)
		if err == nil && !o.RevokedAt.IsZero() {
			err = bad
		}
		return i, err
	}
	var i store.Invitation
	if err := s.View(ctx, func(tx *store.Tx) (err error) { i, err = look(tx); return err }); err != nil {
		return nil, err
	}
	id := &taplinev1.OfficerIdentity{}
	if !i.UsedAt.IsZero() {
		return id, proto.Unmarshal(i.Reply, id)
	}
	err := s.ChangeAs(ctx, o.Name, o.Role, "Login", o.Name, &taplinev1.LoginRequest{Csr: csr}, func(tx *store.Tx) error {
		i, err := look(tx)
		if err != nil {
			return err
		}
		if !i.UsedAt.IsZero() {
			return bad // another call with the same request was faster: the next try gets its answer
		}
		if err := s.issue(tx, o, csr, o.Life, id); err != nil {
			return err
		}
		reply, err := proto.Marshal(id)
		if err != nil {
			return err
		}
		return tx.UseInvitation(hash, request, reply, s.Now())
	})
	return id, err
}

// trade trades an ID token. It is good as often as it is shown until it ends, which is minutes.
func (s *Service) trade(ctx context.Context, token string, csr []byte) (*taplinev1.OfficerIdentity, error) {
	if token == "" || len(token) > maxIDToken {
		return nil, wire.E(wire.Invalid, "id_token: %d bytes, want 1 to %d", len(token), maxIDToken)
	}
	if s.Issuer == nil {
		return nil, wire.E(wire.Precondition, "id_token: this broker has no OIDC issuer; log in with an invitation, or set oidc.issuer in its configuration")
	}
	c, err := s.Issuer.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	if err := CheckName("id_token", c.Name); err != nil {
		return nil, err
	}
	id := &taplinev1.OfficerIdentity{}
	err = s.ChangeAs(ctx, c.Name, c.Role, "Login", c.Name, &taplinev1.LoginRequest{Csr: csr}, func(tx *store.Tx) error {
		o, err := s.known(tx, c)
		if err != nil {
			return err
		}
		return s.issue(tx, o, csr, identity.LoginLife, id)
	})
	if err != nil {
		return nil, err
	}
	s.Forget(c.Name)
	return id, nil
}

// known is the officer of an ID token: a name belongs to whoever had it first, and the role is the one of today.
func (s *Service) known(tx *store.Tx, c Claims) (store.Officer, error) {
	o, err := tx.Officer(c.Name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Officer{Name: c.Name, Role: c.Role, Source: SourceOIDC, Subject: c.Subject, Life: identity.LoginLife, AddedAt: s.Now(), AddedBy: "oidc"}, nil
	case err != nil:
		return o, err
	case o.Source != SourceOIDC || o.Subject != c.Subject:
		return o, wire.E(wire.Denied, "id_token: the name %s belongs to another officer here; have that one revoked under another name, or change oidc.name_claim", c.Name)
	case !o.RevokedAt.IsZero():
		return o, wire.E(wire.Denied, "id_token: %s was revoked at %s; an administrator can readmit", c.Name, o.RevokedAt.UTC().Format(time.RFC3339))
	}
	if o.Role != c.Role {
		if err := tx.RevokeOfficerCertificates(o.Name, s.Now()); err != nil {
			return o, err
		}
	}
	o.Role = c.Role
	return o, nil
}

// RenewOfficer gives the caller the next certificate. The one in hand stays good until its end, so a lost answer locks nobody out.
func (s *Service) RenewOfficer(ctx context.Context, req *taplinev1.RenewOfficerRequest) (*taplinev1.RenewOfficerResponse, error) {
	who, _, ok := wire.Caller(ctx)
	if !ok {
		return nil, wire.E(wire.Unauthenticated, "a client certificate is needed")
	}
	id := &taplinev1.OfficerIdentity{}
	err := s.Change(ctx, "RenewOfficer", who.Name, req, func(tx *store.Tx) error {
		o, err := tx.Officer(who.Name)
		if errors.Is(err, store.ErrNotFound) || err == nil && (o.Source == SourceOIDC || o.Role != who.Role || !o.RevokedAt.IsZero()) {
			return wire.E(wire.Precondition, "%s did not come by an invitation that is in force; log in again", who.Name)
		}
		if err != nil {
			return err
		}
		return s.issue(tx, o, req.GetCsr(), o.Life, id)
	})
	if err != nil {
		return nil, err
	}
	return &taplinev1.RenewOfficerResponse{Identity: id}, nil
}

// issue makes the certificate and notes the login.
func (s *Service) issue(tx *store.Tx, o store.Officer, csr []byte, life time.Duration, into *taplinev1.OfficerIdentity) error {
	chain, cert, err := s.Authority.Officer(tx, o.Role, o.Name, csr, life)
	if err != nil {
		return err
	}
	o.LastLoginAt = s.Now()
	if err := tx.PutOfficer(o); err != nil {
		return err
	}
	o.ExpiresAt = cert.NotAfter
	into.Certificates, into.Roots, into.Brokers = chain[:2], s.Authority.RootCertificates(), slices.Clone(s.Brokers())
	into.Officer, into.ExpiresAt = message(o), timestamppb.New(cert.NotAfter)
	return nil
}
