// Package officer is the service by which people who administer the broker get their access and lose it: the OfficerService.
//
// An officer is a person in one role, known by a client certificate that names both. Administrators invite; the invited one makes a key on their
// own machine and trades the invitation for a certificate. Where an OpenID Connect issuer is configured, an ID token of it is traded the same way,
// for a certificate that lasts a shift. Either way every later call is mutual TLS, is held against the registry, and carries the person's name;
// whoever is revoked is refused within a second. Each change is a record of the broker's own chain, a login too.
//
// The package never sees a private key, keeps no token, and does not say what a role may do: that is package gate.
package officer

import (
	"context"
	"crypto/sha256"
	"errors"
	"regexp"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/gate"
	"tapline/broker/identity"
	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/wire"
)

// Where an officer comes from.
const (
	SourceLocal  = "local"
	SourceInvite = "invite"
	SourceOIDC   = "oidc"
)

// Claims are what an ID token says of a person, after it was checked.
type Claims struct {
	Name    string
	Role    wire.Role
	Subject string // issuer and sub: the same person for ever
}

// Door is how a client asks an issuer for an ID token.
type Door struct {
	Issuer   string
	ClientID string
	Scopes   []string
	Roots    []byte // PEM; empty for those of the client's system
}

// Issuer is where people log in who have no invitation.
type Issuer interface {
	// Describe says how a client asks the issuer for an ID token. It asks nobody.
	Describe() Door
	// Verify checks an ID token. Its errors have kinds: Unauthenticated for a bad token, Denied for a good one without a role, Unavailable.
	Verify(ctx context.Context, idToken string) (Claims, error)
}

// Service is the OfficerService.
type Service struct {
	taplinev1.UnimplementedOfficerServiceServer
	office.Office
	Authority *identity.Authority
	// Issuer may be nil: then only invitations are taken.
	Issuer Issuer
	// Brokers are the addresses that officers are told to call.
	Brokers func() []string
	// Forget is called after an officer's certificates changed.
	Forget func(name string)
}

// namePattern is what an officer's name may be: it stands in certificates and records.
const namePattern = `^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$`

// CheckName checks an officer's name; some are taken by the broker itself.
func CheckName(field, name string) error {
	if ok, err := regexp.MatchString(namePattern, name); err != nil || !ok {
		return wire.E(wire.Invalid, "%s: want 1 to 64 of letters, digits and . _ @ + -, the first a letter or digit", field)
	}
	if n := strings.ToLower(name); n == SourceLocal || n == "unknown" {
		return wire.E(wire.Invalid, "%s: %q is the broker's own; choose another", field, name)
	}
	return nil
}

// EnsureLocal makes sure that the administrator at the broker's own machine is among the officers.
func EnsureLocal(ctx context.Context, o office.Office) error {
	return o.Store.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Officer(SourceLocal)
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return tx.PutOfficer(store.Officer{
			Name: SourceLocal, Role: wire.RoleAdmin, Source: SourceLocal, Life: identity.PersonLife, AddedAt: o.Now(), AddedBy: SourceLocal,
		})
	})
}

// WhoAmI tells the caller.
func (s *Service) WhoAmI(ctx context.Context, _ *taplinev1.WhoAmIRequest) (*taplinev1.WhoAmIResponse, error) {
	who, cert, ok := wire.Caller(ctx)
	if !ok {
		return nil, wire.E(wire.Unauthenticated, "a client certificate is needed")
	}
	resp := &taplinev1.WhoAmIResponse{
		Officer: &taplinev1.Officer{Name: who.Name, Role: string(who.Role)}, Site: who.Site, Serial: identity.Serial(cert),
		ExpiresAt: timestamppb.New(cert.NotAfter), May: gate.Opens(who.Role),
	}
	err := s.View(ctx, func(tx *store.Tx) error {
		o, err := tx.Officer(who.Name)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		resp.Officer = message(o)
		return err
	})
	return resp, err
}

// ListOfficers lists officers.
func (s *Service) ListOfficers(ctx context.Context, req *taplinev1.ListOfficersRequest) (*taplinev1.ListOfficersResponse, error) {
	p, err := office.PageOf(req)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ListOfficersResponse{}
	err = s.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Officers(p)
		if err != nil {
			return err
		}
		found, resp.NextPageToken = office.Cut(p, found, func(o store.Officer) string { return o.Name })
		for _, o := range found {
			resp.Officers = append(resp.Officers, message(o))
		}
		return nil
	})
	return resp, err
}

// RevokeOfficer ends an officer's access. The certificates of the broker's own machine end too, and it makes itself a new one.
func (s *Service) RevokeOfficer(ctx context.Context, req *taplinev1.RevokeOfficerRequest) (*taplinev1.RevokeOfficerResponse, error) {
	if err := office.Word("reason", req.GetReason()); err != nil {
		return nil, err
	}
	resp := &taplinev1.RevokeOfficerResponse{}
	err := s.Change(ctx, "RevokeOfficer", req.GetName(), req, func(tx *store.Tx) error {
		o, err := tx.Officer(req.GetName())
		if err != nil {
			return err
		}
		if o.Source != SourceLocal && o.RevokedAt.IsZero() {
			o.RevokedAt, o.Reason = s.Now(), req.GetReason()
		}
		if err := errors.Join(tx.RevokeOfficerCertificates(o.Name, s.Now()), tx.VoidInvitations(o.Name), tx.PutOfficer(o)); err != nil {
			return err
		}
		o.ExpiresAt = time.Time{}
		resp.Officer = message(o)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.Forget(req.GetName())
	return resp, nil
}

// ReadmitOfficer takes a revocation back, as far as it is about logins to come.
func (s *Service) ReadmitOfficer(ctx context.Context, req *taplinev1.ReadmitOfficerRequest) (*taplinev1.ReadmitOfficerResponse, error) {
	resp := &taplinev1.ReadmitOfficerResponse{}
	err := s.Change(ctx, "ReadmitOfficer", req.GetName(), req, func(tx *store.Tx) error {
		o, err := tx.Officer(req.GetName())
		if err != nil {
			return err
		}
		if err := mayGive(ctx, o.Role); err != nil {
			return err
		}
		o.RevokedAt, o.Reason = time.Time{}, ""
		resp.Officer = message(o)
		return tx.PutOfficer(o)
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// mayGive says whether the caller may give a role: nobody gives more than they have, and the administrator has everything.
func mayGive(ctx context.Context, role wire.Role) error {
	if role == wire.RoleAdmin && office.Role(ctx) != wire.RoleAdmin {
		return wire.E(wire.Denied, "role: only an admin gives the role admin")
	}
	return nil
}

func digest(parts ...[]byte) []byte {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256(p)
		h.Write(sum[:])
	}
	return h.Sum(nil)
}

func message(o store.Officer) *taplinev1.Officer {
	return &taplinev1.Officer{
		Name: o.Name, Role: string(o.Role), Source: o.Source, AddedAt: office.Stamp(o.AddedAt), AddedBy: o.AddedBy,
		LastLoginAt: office.Stamp(o.LastLoginAt), CertificateExpiresAt: office.Stamp(o.ExpiresAt), RevokedAt: office.Stamp(o.RevokedAt), Reason: o.Reason,
	}
}
