// Package claim lets people have a badge that nobody knows, which they tapped at a station: they show who they are, and somebody approves.
//
// The station service calls Ask when a station passes such a request on, the admin service calls Decide. The tap was refused and is known by its help
// code; it must be of this station and not old. The person shows who they are by a session that they have opened there since with a badge that is theirs, or by
// their ID and PIN, throttled as at a tap. The badge works only once somebody has approved; where the configuration says so that is done at once for
// a badge that is no better than the one that was shown. A request ends after a day.
//
// Each step is a record of the broker's own chain. The package shows no badge number and gives no badge that was ever revoked: such a tap is refused as
// revoked and not as unknown.
package claim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/directory"
	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Times and limits.
const (
	TapGood     = 15 * time.Minute // how long after the refused tap it can be asked
	SessionGood = 5 * time.Minute  // how long a session shows who somebody is
	Life        = 24 * time.Hour   // of a request
	openAtOnce  = 5                // at one station
	anHour      = 20               // at one station
	maxID       = 64
)

// How somebody showed who they are.
const (
	ByBadge = "badge"
	ByPIN   = "pin"
)

// Automatic is who decided where the configuration did.
const Automatic = "automatic"

// PINs checks the PIN of a person at a station; locked says for how long no more is taken.
type PINs interface {
	CheckPIN(ctx context.Context, station record.StationID, person record.PersonID, pin string) (good bool, locked time.Duration, err error)
}

// Desk takes requests and decides them.
type Desk struct {
	office.Office
	PINs PINs
	// Auto approves at once what a badge was shown for that is at least as good.
	Auto bool
	// Changed is called after a badge was given.
	Changed func()
}

// Ask takes a request of a station.
func (d *Desk) Ask(ctx context.Context, station record.StationID, req *taplinev1.RequestBadgeRequest) (*taplinev1.RequestBadgeResponse, error) {
	code := strings.ToUpper(req.GetCode())
	switch {
	case code == "" || len(code) > 16:
		return nil, wire.E(wire.Invalid, "code: the six characters of a refused tap")
	case (req.GetSession() == "") == (req.GetPerson() == ""):
		return nil, wire.E(wire.Invalid, "session, person: give one of them")
	case len(req.GetSession()) > maxID, len(req.GetPerson()) > maxID, len(req.GetPin()) > maxID:
		return nil, wire.E(wire.Invalid, "session, person, pin: longer than %d", maxID)
	case req.GetPerson() != "" && req.GetPin() == "":
		return nil, wire.E(wire.Invalid, "pin: needed with person")
	}
	if req.GetPerson() != "" {
		if err := d.checkPIN(ctx, station, code, req); err != nil {
			return nil, err
		}
	}
	redacted := proto.CloneOf(req)
	redacted.Pin = ""
	b, err := d.made(ctx, station, code, req)
	if err != nil {
		return nil, err
	}
	if b.ID != "" { // asked again: nothing new to record
		return answer(b), nil
	}
	err = d.Change(ctx, "RequestBadge", code, redacted, func(tx *store.Tx) (err error) {
		b, err = d.ask(tx, station, code, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	if b.State == store.RequestApproved {
		d.Changed()
	}
	return answer(b), nil
}

func answer(b store.BadgeRequest) *taplinev1.RequestBadgeResponse {
	return &taplinev1.RequestBadgeResponse{
		Request: b.ID, Person: string(b.Person), Approved: b.State == store.RequestApproved, ExpiresAt: timestamppb.New(b.ExpiresAt),
	}
}

// made is the open request that is the same as this one; without an ID if there is none.
func (d *Desk) made(ctx context.Context, station record.StationID, code string, req *taplinev1.RequestBadgeRequest) (b store.BadgeRequest, err error) {
	err = d.View(ctx, func(tx *store.Tx) error {
		r, err := d.tap(tx, station, code)
		if err != nil {
			return err
		}
		person := record.PersonID(req.GetPerson())
		if req.GetSession() != "" {
			if person, _, err = d.shown(tx, station, record.SessionID(req.GetSession()), r); err != nil {
				return err
			}
		}
		b, err = d.room(tx, station, code, person)
		return err
	})
	return b, err
}

// checkPIN checks the PIN, but only for a request that could be taken: else a station's program could try PINs, or lock them, without a badge at hand.
func (d *Desk) checkPIN(ctx context.Context, station record.StationID, code string, req *taplinev1.RequestBadgeRequest) error {
	err := d.View(ctx, func(tx *store.Tx) error {
		if _, err := d.tap(tx, station, code); err != nil {
			return err
		}
		_, err := d.room(tx, station, code, record.PersonID(req.GetPerson()))
		return err
	})
	if err != nil {
		return err
	}
	good, locked, err := d.PINs.CheckPIN(ctx, station, record.PersonID(req.GetPerson()), req.GetPin())
	switch {
	case err != nil:
		return err
	case locked > 0:
		return wire.E(wire.Busy, "too many wrong PINs: try again in %s", locked.Round(time.Second))
	case !good:
		return wire.E(wire.Denied, "person and PIN do not match")
	}
	return nil
}

// tap is the refused tap that a request is about.
func (d *Desk) tap(tx *store.Tx, station record.StationID, code string) (store.Refusal, error) {
	r, err := tx.Refusal(code)
	if errors.Is(err, store.ErrNotFound) || err == nil && r.Station != station {
		return r, wire.E(wire.NotFound, "no tap was refused here with the code %s", code)
	}
	if err != nil {
		return r, err
	}
	if r.Decision.GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE {
		return r, wire.E(wire.Precondition, "the tap %s was refused for another reason: only a badge that nobody has can be asked for", code)
	}
	if d.Now().Sub(r.At) > TapGood {
		return r, wire.E(wire.Precondition, "the tap %s is more than %s ago: tap the badge again", code, TapGood)
	}
	have, err := tx.BadgeByLookup(r.Lookup)
	if err == nil && !have.Revoked {
		return r, wire.E(wire.Precondition, "the badge has a person meanwhile")
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return r, err
	}
	return r, nil
}

// room gives the request that was made for the same tap and person, if there is one, else says whether another can be taken.
func (d *Desk) room(tx *store.Tx, station record.StationID, code string, person record.PersonID) (store.BadgeRequest, error) {
	r, err := tx.Refusal(code)
	if err != nil {
		return store.BadgeRequest{}, err
	}
	now := d.Now()
	made, err := tx.BadgeRequestsAt(station, now.Add(-Life))
	if err != nil {
		return store.BadgeRequest{}, err
	}
	open, recent := 0, 0
	for _, b := range made {
		isOpen := b.State == store.RequestOpen && now.Before(b.ExpiresAt)
		if isOpen && b.Person == person && string(b.Lookup) == string(r.Lookup) {
			return b, nil
		}
		if isOpen {
			open++
		}
		if now.Sub(b.MadeAt) < time.Hour {
			recent++
		}
	}
	if open >= openAtOnce || recent >= anHour {
		return store.BadgeRequest{}, wire.E(wire.Busy, "too many requests for badges at this station: have those that are open decided first")
	}
	return store.BadgeRequest{}, nil
}

func (d *Desk) ask(tx *store.Tx, station record.StationID, code string, req *taplinev1.RequestBadgeRequest) (store.BadgeRequest, error) {
	r, err := d.tap(tx, station, code)
	if err != nil {
		return store.BadgeRequest{}, err
	}
	b := store.BadgeRequest{
		Station: station, Person: record.PersonID(req.GetPerson()), ShownBy: ByPIN, Technology: r.Technology, Assurance: r.Assurance,
		Lookup: r.Lookup, Number: r.Number, MadeAt: d.Now(), ExpiresAt: d.Now().Add(Life), State: store.RequestOpen,
	}
	shown := taplinev1.Assurance(-1)
	if req.GetSession() != "" {
		if b.Person, shown, err = d.shown(tx, station, record.SessionID(req.GetSession()), r); err != nil {
			return b, err
		}
		b.ShownBy = ByBadge
	}
	p, err := tx.Person(b.Person)
	if err != nil || p.GetSuspended() {
		return b, wire.E(wire.Denied, "person %s may not work now", b.Person)
	}
	before, err := d.room(tx, station, code, b.Person)
	if err != nil || before.ID != "" {
		return before, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return b, fmt.Errorf("name request: %w", err)
	}
	b.ID = id.String()
	if d.Auto && b.ShownBy == ByBadge && b.Assurance <= shown {
		if err := d.give(tx, &b, Automatic, "", ""); err != nil {
			return b, err
		}
	}
	return b, tx.AddBadgeRequest(b)
}

// shown is who has opened a session at a station since a tap was refused there, and how good their badge is.
func (d *Desk) shown(tx *store.Tx, station record.StationID, session record.SessionID, r store.Refusal) (record.PersonID, taplinev1.Assurance, error) {
	l, err := tx.LeaseOf(session)
	if errors.Is(err, store.ErrNotFound) || err == nil && (l.Station != station || !l.EndedAt.IsZero()) {
		return "", 0, wire.E(wire.Denied, "session: not in force at this station")
	}
	if err != nil {
		return "", 0, err
	}
	if l.OpenedAt.Before(r.At) || d.Now().Sub(l.OpenedAt) > SessionGood {
		return "", 0, wire.E(wire.Denied, "session: tap a badge that is yours after the unknown one, and ask within %s", SessionGood)
	}
	t, err := tx.TapOf(session)
	if errors.Is(err, store.ErrNotFound) { // decided by the station alone: nothing is known of the badge
		return l.Person, -1, nil
	}
	return l.Person, t.Assurance, err
}

// give gives the badge to its person.
func (d *Desk) give(tx *store.Tx, b *store.BadgeRequest, by, label, note string) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("name badge: %w", err)
	}
	now := d.Now()
	err = directory.Give(tx, store.Badge{
		ID: id.String(), Person: b.Person, Lookup: b.Lookup, Number: b.Number, Label: label, Technology: b.Technology, Assurance: b.Assurance, AssignedAt: now,
	}, now)
	if err != nil {
		return err
	}
	b.State, b.DecidedBy, b.DecidedAt, b.Note, b.Badge = store.RequestApproved, by, now, note, id.String()
	return tx.Changed()
}

// Decide gives the badge, or refuses. may says whether the caller may give a badge to the person, in the same update.
func (d *Desk) Decide(ctx context.Context, req *taplinev1.DecideBadgeRequestRequest, may func(*store.Tx, record.PersonID) error) (store.BadgeRequest, error) {
	if err := directory.CheckLabel(req.GetLabel()); err != nil {
		return store.BadgeRequest{}, err
	}
	if len(req.GetNote()) > office.MaxText {
		return store.BadgeRequest{}, wire.E(wire.Invalid, "note: longer than %d", office.MaxText)
	}
	var b store.BadgeRequest
	err := d.Change(ctx, "DecideBadgeRequest", req.GetId(), req, func(tx *store.Tx) (err error) {
		if b, err = tx.BadgeRequest(req.GetId()); err != nil {
			return err
		}
		switch {
		case b.State != store.RequestOpen:
			return wire.E(wire.Precondition, "the request was %s before, by %s", b.State, b.DecidedBy)
		case !d.Now().Before(b.ExpiresAt):
			return wire.E(wire.Precondition, "the request has expired: the person may ask again")
		case !req.GetApprove():
			b.State, b.DecidedBy, b.DecidedAt, b.Note = store.RequestRefused, office.Caller(ctx), d.Now(), req.GetNote()
			return tx.DecideBadgeRequest(b)
		}
		p, err := tx.Person(b.Person)
		if err != nil {
			return err
		}
		if p.GetSuspended() {
			return wire.E(wire.Precondition, "person %s is suspended", b.Person)
		}
		if err := may(tx, b.Person); err != nil {
			return err
		}
		have, err := tx.BadgeByLookup(b.Lookup)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil && !have.AssignedAt.Before(b.MadeAt) {
			return wire.E(wire.Precondition, "the badge was given to %s meanwhile", have.Person)
		}
		if err := d.give(tx, &b, office.Caller(ctx), req.GetLabel(), req.GetNote()); err != nil {
			return err
		}
		return tx.DecideBadgeRequest(b)
	})
	if err == nil && b.State == store.RequestApproved {
		d.Changed()
	}
	return b, err
}
