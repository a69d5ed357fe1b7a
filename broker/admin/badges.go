package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"tapline/broker/directory"
	"tapline/broker/lease"
	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// AssignBadge gives a badge to a person.
func (s *Service) AssignBadge(ctx context.Context, req *taplinev1.AssignBadgeRequest) (*taplinev1.AssignBadgeResponse, error) {
	var proof directory.Proof
	var err error
	switch {
	case (req.GetBadge() == nil) == (req.GetPendingTap() == ""):
		return nil, wire.E(wire.Invalid, "badge, pending_tap: give one of them")
	case directory.CheckLabel(req.GetLabel()) != nil:
		return nil, directory.CheckLabel(req.GetLabel())
	case req.GetNotAfter() != nil && !req.GetNotAfter().IsValid():
		return nil, wire.E(wire.Invalid, "not_after: out of range")
	case req.GetBadge() != nil:
		if proof, err = s.Directory.ReadProof("badge", req.GetBadge()); err != nil {
			return nil, err
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("name badge: %w", err)
	}
	b := store.Badge{ID: id.String(), Person: record.PersonID(req.GetPerson()), Label: req.GetLabel(), AssignedAt: s.Now()}
	if req.GetNotAfter() != nil {
		b.NotAfter = req.GetNotAfter().AsTime()
	}
	redacted := proto.CloneOf(req)
	if redacted.GetBadge() != nil {
		redacted.Badge.Number = nil
	}
	err = s.Change(ctx, "AssignBadge", req.GetPerson(), redacted, func(tx *store.Tx) error { return s.assign(tx, b, proof, req.GetPendingTap()) })
	if err != nil {
		return nil, err
	}
	s.Changed()
	var stored store.Badge
	err = s.View(ctx, func(tx *store.Tx) (err error) {
		stored, err = tx.Badge(b.ID)
		return err
	})
	return &taplinev1.AssignBadgeResponse{Badge: badgeMessage(stored)}, err
}

func (s *Service) assign(tx *store.Tx, b store.Badge, proof directory.Proof, code string) error {
	if _, err := tx.Person(b.Person); err != nil {
		return err
	}
	b.Lookup, b.Number, b.Technology, b.Assurance = proof.Lookup, proof.Sealed, proof.Technology, proof.Assurance
	if code != "" {
		r, err := tx.Refusal(strings.ToUpper(code))
		if errors.Is(err, store.ErrNotFound) {
			return wire.E(wire.NotFound, "pending_tap: no refused tap has the code %s", code[:min(len(code), 16)])
		}
		if err != nil {
			return err
		}
		b.Lookup, b.Number, b.Technology, b.Assurance = r.Lookup, r.Number, r.Technology, r.Assurance
	}
	err := tx.AddBadge(b)
	if errors.Is(err, store.ErrExists) {
		whose, look := tx.BadgeByLookup(b.Lookup)
		if look != nil {
			return look
		}
		return wire.E(wire.Exists, "badge: %s has it; revoke it first", whose.Person)
	}
	if err != nil {
		return err
	}
	return tx.Changed()
}

// ListBadges lists badges.
func (s *Service) ListBadges(ctx context.Context, req *taplinev1.ListBadgesRequest) (*taplinev1.ListBadgesResponse, error) {
	p, err := office.PageOf(req)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ListBadgesResponse{}
	err = s.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Badges(record.PersonID(req.GetPerson()), p)
		if err != nil {
			return err
		}
		found, resp.NextPageToken = office.Cut(p, found, func(b store.Badge) string { return b.ID })
		for _, b := range found {
			resp.Badges = append(resp.Badges, badgeMessage(b))
		}
		return nil
	})
	return resp, err
}

// RevokeBadge makes a badge worthless, and ends what its person has open.
func (s *Service) RevokeBadge(ctx context.Context, req *taplinev1.RevokeBadgeRequest) (*taplinev1.RevokeBadgeResponse, error) {
	if err := office.Word("reason", req.GetReason()); err != nil {
		return nil, err
	}
	var b store.Badge
	err := s.Change(ctx, "RevokeBadge", req.GetId(), req, func(tx *store.Tx) (err error) {
		if err := tx.RevokeBadge(req.GetId(), req.GetReason()); err != nil {
			return err
		}
		if b, err = tx.Badge(req.GetId()); err != nil {
			return err
		}
		if err := lease.Revoke(tx, b.Person, s.Now()); err != nil {
			return err
		}
		return tx.Changed()
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return &taplinev1.RevokeBadgeResponse{Badge: badgeMessage(b)}, nil
}

func badgeMessage(b store.Badge) *taplinev1.Badge {
	return &taplinev1.Badge{
		Id: b.ID, Person: string(b.Person), Label: b.Label, Technology: b.Technology, Assurance: b.Assurance, Revoked: b.Revoked,
		Reason: b.Reason, NotAfter: office.Stamp(b.NotAfter), AssignedAt: office.Stamp(b.AssignedAt), LastUsedAt: office.Stamp(b.LastUsedAt),
		Source: b.Source, LostAt: office.Stamp(b.LostAt), Temporary: b.Temporary, Replaces: b.Replaces,
	}
}
