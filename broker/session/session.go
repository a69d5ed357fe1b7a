// Package session answers taps: whose badge it is, whether policy lets that person work there, and under which lease.
//
// The station service calls it for OpenSession, ExtendSession and CloseSession. An answer, its lease and its place among the answers given
// are one update of the store: a request that comes again gets the same answer and no second lease, the same session with other content is
// refused. A refusal is an answer with a code that the help desk can look up.
//
// The package decides only what broker/policy and broker/lease tell it. It does not write records: what happened is what the station's
// records say, and broker/ingest reconciles the leases with them.
package session

import (
	"bytes"
	"context"
	"errors"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/directory"
	"tapline/broker/lease"
	"tapline/broker/rulebook"
	"tapline/broker/store"
	"tapline/broker/trace"
	"tapline/broker/vault"
	"tapline/proto/pin"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Desk answers taps.
type Desk struct {
	Store     *store.Store
	Vault     *vault.Vault
	Directory directory.Directory
	Rules     *rulebook.Book
	PINs      *pin.Checker
	Now       func() time.Time
}

// tap is a checked OpenSessionRequest.
type tap struct {
	station  record.StationID
	session  record.SessionID
	digest   []byte
	badge    directory.Proof
	approver *directory.Proof
	pin      pinState
	account  record.AccountID
}

// maxReader is the longest name of a reader, as records have it.
const maxReader = 256

// readSession checks a session's ID: a UUIDv7 in lower case.
func readSession(id string) (record.SessionID, error) {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 || u.String() != id {
		return "", wire.E(wire.Invalid, "session: not a UUIDv7 in lower case")
	}
	return record.SessionID(id), nil
}

func (d *Desk) readTap(station record.StationID, req *taplinev1.OpenSessionRequest) (tap, error) {
	t := tap{station: station, account: record.AccountID(req.GetAccount())}
	var err error
	if t.session, err = readSession(req.GetSession()); err != nil {
		return t, err
	}
	if t.badge, err = d.Directory.ReadProof("badge", req.GetBadge()); err != nil {
		return t, err
	}
	if req.GetApprover() != nil {
		p, err := d.Directory.ReadProof("approver", req.GetApprover())
		if err != nil {
			return t, err
		}
		t.approver = &p
	}
	_, mode := taplinev1.Mode_name[int32(req.GetMode())]
	switch {
	case !mode:
		return t, wire.E(wire.Invalid, "mode: %d is not known", req.GetMode())
	case len(req.GetReader()) > maxReader:
		return t, wire.E(wire.Invalid, "reader: longer than %d", maxReader)
	case len(req.GetAccount()) > 64:
		return t, wire.E(wire.Invalid, "account: longer than 64")
	case len(req.GetPin()) > 64:
		return t, wire.E(wire.Invalid, "pin: longer than 64")
	case len(req.GetFromSession()) > 64:
		return t, wire.E(wire.Invalid, "from_session: longer than 64")
	case req.GetTappedAt() != nil && !req.GetTappedAt().IsValid():
		return t, wire.E(wire.Invalid, "tapped_at: out of range")
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return t, wire.E(wire.Invalid, "request: %w", err)
	}
	t.digest = d.Vault.Digest("open session", b)
	return t, nil
}

// Open answers a tap.
func (d *Desk) Open(ctx context.Context, station record.StationID, req *taplinev1.OpenSessionRequest) (*taplinev1.OpenSessionResponse, error) {
	t, err := d.readTap(station, req)
	if err != nil {
		return nil, err
	}
	if req.GetPin() != "" {
		_, end := trace.Begin(ctx, "check PIN")
		t.pin, err = d.checkPIN(ctx, t, req.GetPin())
		if end(err); err != nil {
			return nil, err
		}
	}
	var resp *taplinev1.OpenSessionResponse
	err = d.Store.Update(ctx, func(tx *store.Tx) (err error) {
		_, end := trace.Begin(ctx, "decide tap")
		resp, err = d.open(tx, t)
		end(err)
		return err
	})
	if err != nil {
		return nil, err
	}
	resp.BrokerTime = timestamppb.New(d.Now())
	return resp, nil
}

func (d *Desk) open(tx *store.Tx, t tap) (*taplinev1.OpenSessionResponse, error) {
	now := d.Now()
	if err := tx.AheadOfTap(t.session, t.station, t.badge.Lookup); err != nil {
		return nil, err
	}
	switch given, err := tx.Answer(t.session); {
	case err == nil:
		return d.again(tx, t, given, now)
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	s, err := tx.Station(t.station)
	if err != nil {
		return nil, err
	}
	if s.State != taplinev1.StationState_STATION_STATE_ENROLLED {
		return nil, wire.E(wire.Precondition, "station %s is quarantined (%s): decide from the bundle", t.station, s.StateReason)
	}
	resp, err := d.answer(tx, t, s, now)
	if err != nil {
		return nil, err
	}
	reply, err := proto.Marshal(resp)
	if err != nil {
		return nil, err
	}
	return resp, tx.AddAnswer(store.Answer{Session: t.session, Station: t.station, Request: t.digest, Reply: reply, At: now})
}

// again answers a request that comes again.
func (d *Desk) again(tx *store.Tx, t tap, given store.Answer, now time.Time) (*taplinev1.OpenSessionResponse, error) {
	if given.Station != t.station || !bytes.Equal(given.Request, t.digest) {
		return nil, wire.E(wire.Exists, "session %s was asked for before with other content: a session's ID is used once", t.session)
	}
	resp := &taplinev1.OpenSessionResponse{}
	if err := proto.Unmarshal(given.Reply, resp); err != nil {
		return nil, err
	}
	if resp.GetLease() == nil {
		return resp, nil
	}
	l, err := tx.LeaseOf(t.session)
	if err != nil {
		return nil, err
	}
	if !l.EndedAt.IsZero() || !now.Before(l.ExpiresAt) {
		return nil, wire.E(wire.Precondition, "session %s has ended (%s): a tap is answered once", t.session, l.Cause)
	}
	return resp, nil
}

// Extend keeps a lease, if policy still agrees.
func (d *Desk) Extend(ctx context.Context, station record.StationID, req *taplinev1.ExtendSessionRequest) (*taplinev1.ExtendSessionResponse, error) {
	id, err := readSession(req.GetSession())
	if err != nil {
		return nil, err
	}
	var resp *taplinev1.ExtendSessionResponse
	err = d.Store.Update(ctx, func(tx *store.Tx) error {
		l, err := held(tx, id, station, req.GetFence())
		if err != nil {
			return err
		}
		resp, err = d.extend(tx, l)
		return err
	})
	return resp, err
}

// held gives a lease for a caller who must name it rightly.
func held(tx *store.Tx, id record.SessionID, station record.StationID, fence uint64) (store.Lease, error) {
	l, err := lease.Held(tx, id, station, record.Fence(fence))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return l, wire.E(wire.NotFound, "session %s has no lease", id)
	case errors.Is(err, lease.ErrStale):
		return l, wire.E(wire.Stale, "fence %d is not the one of session %s", fence, id)
	}
	return l, err
}

// Close gives a lease back.
func (d *Desk) Close(ctx context.Context, station record.StationID, req *taplinev1.CloseSessionRequest) (*taplinev1.CloseSessionResponse, error) {
	id, err := readSession(req.GetSession())
	if err != nil {
		return nil, err
	}
	cause := CauseWord(req.GetCause())
	if cause == "" {
		return nil, wire.E(wire.Invalid, "cause: missing or not known")
	}
	now := d.Now()
	err = d.Store.Update(ctx, func(tx *store.Tx) error {
		l, err := held(tx, id, station, req.GetFence())
		if wire.KindOf(err) == wire.NotFound { // decided offline, or long ago: there is nothing to give back
			return nil
		}
		if err != nil {
			return err
		}
		return tx.EndLease(l.ID, cause, now)
	})
	return &taplinev1.CloseSessionResponse{BrokerTime: timestamppb.New(now)}, err
}
