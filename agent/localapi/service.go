package localapi

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"tapline/agent/signin"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// service is LocalService over a Station. What it does not have answers UNIMPLEMENTED by the embedded type.
type service struct {
	taplinev1.UnimplementedLocalServiceServer
	station Station
}

func (s *service) WhoIsHere(ctx context.Context, _ *taplinev1.WhoIsHereRequest) (*taplinev1.WhoIsHereResponse, error) {
	return &taplinev1.WhoIsHereResponse{Presence: presenceFor(ctx, s.station.Presence())}, nil
}

func (s *service) WatchPresence(_ *taplinev1.WatchPresenceRequest, stream taplinev1.LocalService_WatchPresenceServer) error {
	for change := range s.station.Watch(stream.Context()) {
		if err := stream.Send(changeFor(stream.Context(), change)); err != nil {
			return err
		}
	}
	if err := stream.Context().Err(); err != nil {
		return err
	}
	return wire.E(wire.Unavailable, "the watch ended: ask again")
}

func (s *service) EndSession(ctx context.Context, req *taplinev1.EndSessionRequest) (*taplinev1.EndSessionResponse, error) {
	if req.GetSession() == "" {
		return nil, wire.E(wire.Invalid, "session: empty; name the one that is to end")
	}
	if err := s.station.EndSession(ctx, req.GetSession()); err != nil {
		return nil, err
	}
	return &taplinev1.EndSessionResponse{}, nil
}

func (s *service) ClaimBadge(ctx context.Context, req *taplinev1.ClaimBadgeRequest) (*taplinev1.ClaimBadgeResponse, error) {
	switch {
	case req.GetCode() == "":
		return nil, wire.E(wire.Invalid, "code: empty; it is the one that the panel showed")
	case (req.GetPerson() == "") != (req.GetPin() == ""):
		return nil, wire.E(wire.Invalid, "person, pin: give both or neither")
	}
	return s.station.ClaimBadge(ctx, req)
}

func (s *service) GetStatus(ctx context.Context, _ *taplinev1.GetStatusRequest) (*taplinev1.GetStatusResponse, error) {
	return statusFor(ctx, s.station.Status()), nil
}

func (s *service) FetchSecret(ctx context.Context, req *taplinev1.FetchSecretRequest) (*taplinev1.FetchSecretResponse, error) {
	return s.station.FetchSecret(ctx, req.GetSession())
}

func (s *service) GetDiagnostics(context.Context, *taplinev1.GetDiagnosticsRequest) (*taplinev1.GetDiagnosticsResponse, error) {
	return s.station.Diagnostics()
}

func (s *service) Reload(ctx context.Context, _ *taplinev1.ReloadRequest) (*taplinev1.ReloadResponse, error) {
	return s.station.Reload(ctx)
}

func (s *service) AttachHelper(stream taplinev1.LocalService_AttachHelperServer) error {
	caller, _ := peerOf(stream.Context())
	receive := func() (*taplinev1.AttachHelperRequest, error) {
		req, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		return req, check(req)
	}
	return s.station.AttachHelper(stream.Context(), caller.UID, receive, stream.Send)
}

func (s *service) IssueToken(ctx context.Context, req *taplinev1.IssueTokenRequest) (*taplinev1.IssueTokenResponse, error) {
	if a := req.GetAudience(); a == "" || strings.ContainsFunc(a, unicode.IsControl) {
		return nil, wire.E(wire.Invalid, "audience: must name who will read the token, without control characters")
	}
	p, ok := peerOf(ctx)
	if !ok {
		p.UID = -1
	}
	return s.station.IssueToken(ctx, req, p.UID, p.Owner)
}

func (s *service) GetTokenKeys(context.Context, *taplinev1.GetTokenKeysRequest) (*taplinev1.GetTokenKeysResponse, error) {
	keys, err := s.station.TokenKeys()
	if err != nil {
		return nil, err
	}
	return &taplinev1.GetTokenKeysResponse{Jwks: keys}, nil
}

func (s *service) SignAction(ctx context.Context, req *taplinev1.SignActionRequest) (*taplinev1.SignActionResponse, error) {
	for _, f := range []struct{ name, value string }{{"application", req.GetApplication()}, {"name", req.GetName()}, {"meaning", req.GetMeaning()}} {
		if f.value == "" || strings.TrimSpace(f.value) != f.value || strings.ContainsFunc(f.value, unicode.IsControl) {
			return nil, wire.E(wire.Invalid, "%s: must say something, without control characters and blanks around it", f.name)
		}
	}
	switch {
	case len(req.GetDigest()) != sha256.Size || !slices.ContainsFunc(req.GetDigest(), func(b byte) bool { return b != 0 }):
		return nil, wire.E(wire.Invalid, "digest: must be the SHA-256 of what is signed, %d bytes", sha256.Size)
	case req.GetPin() == "":
		return nil, wire.E(wire.Invalid, "pin: it is missing")
	}
	return s.station.SignAction(ctx, req)
}

func (s *service) BeginEmergency(ctx context.Context, req *taplinev1.BeginEmergencyRequest) (*taplinev1.BeginEmergencyResponse, error) {
	return s.station.BeginEmergency(ctx, req.GetReason())
}

// maxNote bounds what is said with a claim.
const maxNote = 500

func (s *service) ClaimEmergency(ctx context.Context, req *taplinev1.ClaimEmergencyRequest) (*taplinev1.ClaimEmergencyResponse, error) {
	switch {
	case req.GetEmergency() == "":
		return nil, wire.E(wire.Invalid, "emergency: its name is missing; WhoIsHere tells those that wait for a claim")
	case utf8.RuneCountInString(req.GetNote()) > maxNote || strings.ContainsRune(req.GetNote(), 0):
		return nil, wire.E(wire.Invalid, "note: at most %d characters, none of them NUL", maxNote)
	}
	return s.station.ClaimEmergency(ctx, req)
}

// maxPIN is more than any PIN has: what is longer is a mistake, and is not looked at.
const maxPIN = 64

func (s *service) EnterPin(ctx context.Context, req *taplinev1.EnterPinRequest) (*taplinev1.EnterPinResponse, error) {
	switch {
	case req.GetSession() == "":
		return nil, wire.E(wire.Invalid, "session: it is missing; the notice that a PIN is needed names it")
	case req.GetPin() == "":
		return nil, wire.E(wire.Invalid, "pin: it is missing")
	case len(req.GetPin()) > maxPIN:
		return nil, wire.E(wire.Invalid, "pin: longer than %d", maxPIN)
	}
	d, err := s.station.EnterPin(ctx, req.GetSession(), req.GetPin())
	if err != nil {
		return nil, err
	}
	return &taplinev1.EnterPinResponse{Decision: d}, nil
}

func (s *service) Authorize(ctx context.Context, req *taplinev1.AuthorizeRequest) (*taplinev1.AuthorizeResponse, error) {
	if req.GetAccount() == "" {
		return nil, wire.E(wire.Invalid, "account: empty")
	}
	if caller, _ := peerOf(ctx); !caller.Owner && !signin.MayAsk(caller.UID, req.GetAccount()) {
		return nil, wire.E(wire.Denied, "an account may ask about itself alone")
	}
	return s.station.Authorize(ctx, req.GetAccount())
}
