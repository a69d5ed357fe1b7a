package agent

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/agent/identity"
	"tapline/agent/session"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// treasurer is what the agent asks of its line for secrets.
type treasurer interface {
	ReleaseSecret(ctx context.Context, req *taplinev1.ReleaseSecretRequest) (*taplinev1.ReleaseSecretResponse, error)
	TakeRotation(ctx context.Context, req *taplinev1.TakeRotationRequest) (*taplinev1.TakeRotationResponse, error)
	ReportRotation(ctx context.Context, req *taplinev1.ReportRotationRequest) (*taplinev1.ReportRotationResponse, error)
}

const (
	hookWithin   = 30 * time.Second // one run of the account hook
	secretWithin = 10 * time.Second // one question for a secret, and its record
)

// FetchSecret gets the secret of the account of the session in force. The record that says so is durable before the secret is handed out; without the
// record there is no secret.
func (a *Agent) FetchSecret(ctx context.Context, id string) (*taplinev1.FetchSecretResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, secretWithin)
	defer cancel()
	line, ok := a.line.(treasurer)
	if !ok {
		return nil, wire.E(wire.Unsupported, "this line hands out no secrets")
	}
	var who session.Presence
	var lease session.Lease
	var leased bool
	if err := a.loop.look(ctx, func(s session.State) { who = s.Presence(); lease, leased = s.Lease() }); err != nil {
		return nil, wire.E(wire.Unavailable, "%w", err)
	}
	switch {
	case who.Session == "" || id != "" && string(who.Session) != id:
		return nil, wire.E(wire.NotFound, "that session is not in force")
	case !leased:
		return nil, wire.E(wire.Precondition, "the session began without the broker: there is no secret for it")
	}
	key, proof, err := a.secretKey(string(who.Session))
	if err != nil {
		return nil, err
	}
	r, err := line.ReleaseSecret(ctx, &taplinev1.ReleaseSecretRequest{
		Session: string(who.Session), Fence: uint64(lease.Fence), SessionKey: key.Public(), Proof: proof,
	})
	if err != nil {
		return nil, err
	}
	plain, err := a.openSecret(key, string(who.Session), r)
	if err != nil {
		return nil, err
	}
	_, err = a.journal.Write(ctx, record.Payload{
		Type: record.SecretReleased, Session: who.Session, Person: who.Person.ID, Account: record.AccountID(r.GetAccount()), Mode: who.Mode,
		Lease: &record.Lease{ID: lease.ID, Fence: lease.Fence},
	})
	if err != nil {
		clear(plain)
		return nil, wire.E(wire.Unavailable, "the release could not be recorded, so nothing is handed out: %w", err)
	}
	return &taplinev1.FetchSecretResponse{
		Session: string(who.Session), Account: r.GetAccount(), Name: r.GetName(), Secret: plain, ExpiresAt: r.GetExpiresAt(),
	}, nil
}

// secretKey makes the key for one request and signs it with the station's identity key.
func (a *Agent) secretKey(what string) (wire.SecretKey, []byte, error) {
	key, err := wire.NewSecretKey()
	if err != nil {
		return key, nil, err
	}
	proof, err := a.identity.SignWithIdentity(wire.SecretDigest(what, key.Public()))
	return key, proof, err
}

// sealed is an answer that holds a sealed secret.
type sealed interface {
	GetEncapsulated() []byte
	GetCiphertext() []byte
	GetAccount() string
	GetExpiresAt() *timestamppb.Timestamp
}

func (a *Agent) openSecret(key wire.SecretKey, what string, r sealed) (identity.Secret, error) {
	info := wire.SecretInfo(string(a.Station()), what, r.GetAccount(), r.GetExpiresAt().AsTime())
	plain, err := key.Open(r.GetEncapsulated(), info, r.GetCiphertext())
	if err != nil {
		return nil, wire.E(wire.BadEvidence, "the broker's secret: %w", err)
	}
	return plain, nil
}

// rotateAccount sets the new secret of a local account of this station and reports. What is not reported is asked for again, with the same secret.
func (a *Agent) rotateAccount(ctx context.Context, c *taplinev1.RotateAccount) *taplinev1.CommandResult {
	line, ok := a.line.(treasurer)
	if !ok {
		return &taplinev1.CommandResult{Reason: "unsupported"}
	}
	reason := a.changeAccount(ctx, line, c)
	_, err := line.ReportRotation(ctx, &taplinev1.ReportRotationRequest{Rotation: c.GetRotation(), Done: reason == "", Reason: reason})
	if err != nil {
		a.log.Warn("a rotation could not be reported; the broker asks again", zap.String("account", c.GetAccount()), zap.Error(err))
	}
	if reason != "" {
		a.log.Warn("the secret of a local account was not changed", zap.String("account", c.GetAccount()), zap.String("reason", reason))
	}
	return &taplinev1.CommandResult{Done: reason == "", Reason: reason}
}

// changeAccount gives why not; empty if the account takes the new secret.
func (a *Agent) changeAccount(ctx context.Context, line treasurer, c *taplinev1.RotateAccount) string {
	if len(a.settings().AccountHook) == 0 {
		return "no-account-hook"
	}
	asking, cancel := context.WithTimeout(ctx, secretWithin)
	defer cancel()
	key, proof, err := a.secretKey(c.GetRotation())
	if err != nil {
		return "no-key"
	}
	r, err := line.TakeRotation(asking, &taplinev1.TakeRotationRequest{Rotation: c.GetRotation(), SessionKey: key.Public(), Proof: proof})
	if err != nil {
		return "not-handed-out"
	}
	plain, err := a.openSecret(key, c.GetRotation(), r)
	if err != nil {
		return "not-for-us"
	}
	defer clear(plain)
	if r.GetName() == "" || strings.HasPrefix(r.GetName(), "-") {
		return "bad-name"
	}
	if err := runHook(ctx, a.settings().AccountHook, r.GetName(), plain); err != nil {
		a.log.Warn("the account hook failed", zap.String("account", c.GetAccount()), zap.Error(err))
		return "hook-failed"
	}
	writing, done := context.WithTimeout(ctx, secretWithin)
	defer done()
	if _, err := a.journal.Write(writing, record.Payload{Type: record.SecretRotated, Account: record.AccountID(r.GetAccount())}); err != nil {
		a.log.Warn("the change of a secret is recorded later", zap.Error(err))
	}
	return ""
}

// runHook runs the account hook. What it prints is thrown away: it could hold the secret.
func runHook(ctx context.Context, hook []string, name string, secret identity.Secret) error {
	ctx, cancel := context.WithTimeout(ctx, hookWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, hook[0], append(append([]string{}, hook[1:]...), name)...)
	cmd.Stdin = bytes.NewReader(secret)
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return errors.Join(err, ctx.Err())
	}
	return nil
}
