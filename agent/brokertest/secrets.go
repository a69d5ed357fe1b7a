package brokertest

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// seal seals Secret to a station's key.
func (b *Broker) seal(station, what string, key []byte) (enc, ct []byte, until *timestamppb.Timestamp, err error) {
	expires := b.Now().Add(time.Minute).UTC().Truncate(time.Second)
	enc, ct, err = wire.SealSecret(key, wire.SecretInfo(station, what, Account, expires), []byte(b.Secret))
	if err != nil {
		return nil, nil, nil, wire.E(wire.Invalid, "session_key: %w", err)
	}
	return enc, ct, timestamppb.New(expires), nil
}

// Account is whose secret the broker has.
const Account = "operator"

// ReleaseSecret hands out Secret.
func (b *Broker) ReleaseSecret(ctx context.Context, r *taplinev1.ReleaseSecretRequest) (*taplinev1.ReleaseSecretResponse, error) {
	station, err := b.proven(ctx, r.GetSession(), r.GetSessionKey(), r.GetProof())
	if err != nil {
		return nil, err
	}
	enc, ct, until, err := b.seal(station, r.GetSession(), r.GetSessionKey())
	return &taplinev1.ReleaseSecretResponse{Encapsulated: enc, Ciphertext: ct, ExpiresAt: until, Account: Account, Name: Account}, err
}

// TakeRotation hands out Secret.
func (b *Broker) TakeRotation(ctx context.Context, r *taplinev1.TakeRotationRequest) (*taplinev1.TakeRotationResponse, error) {
	station, err := b.proven(ctx, r.GetRotation(), r.GetSessionKey(), r.GetProof())
	if err != nil {
		return nil, err
	}
	enc, ct, until, err := b.seal(station, r.GetRotation(), r.GetSessionKey())
	return &taplinev1.TakeRotationResponse{Encapsulated: enc, Ciphertext: ct, ExpiresAt: until, Account: Account, Name: Account}, err
}

// ReportRotation takes note.
func (b *Broker) ReportRotation(ctx context.Context, r *taplinev1.ReportRotationRequest) (*taplinev1.ReportRotationResponse, error) {
	if _, _, err := b.known(ctx); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reports = append(b.reports, r)
	return &taplinev1.ReportRotationResponse{}, nil
}

// Reports are the rotations that stations reported.
func (b *Broker) Reports() []*taplinev1.ReportRotationRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*taplinev1.ReportRotationRequest(nil), b.reports...)
}

// proven checks that the caller's identity key signed for key.
func (b *Broker) proven(ctx context.Context, what string, key, proof []byte) (string, error) {
	id, s, err := b.known(ctx)
	if err != nil {
		return "", err
	}
	if !verifies(s.Identity, wire.SecretDigest(what, key), proof) {
		return "", wire.E(wire.Unauthenticated, "proof: not by the identity key")
	}
	return id, nil
}
