package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

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

// Limits of badges that end.
const (
	maxLent    = 31 * 24 * time.Hour
	replaceFor = 30 * 24 * time.Hour // how long an old badge lives beside the one that replaces it
)

// AssignBadge gives a badge to a person.
func (s *Service) AssignBadge(ctx context.Context, req *taplinev1.AssignBadgeRequest) (*taplinev1.AssignBadgeResponse, error) {
	b, err := s.readBadge(req)
	if err != nil {
		return nil, err
	}
	redacted := proto.CloneOf(req)
	if redacted.GetBadge() != nil {
		redacted.Badge.Number = nil
	}
	var stored store.Badge
	err = s.Change(ctx, "AssignBadge", req.GetPerson(), redacted, func(tx *store.Tx) error {
		if err := s.give(ctx, tx, b.Person, store.CredentialBadge); err != nil {
			return err
		}
		if err := s.assign(tx, b, req); err != nil {
			return err
		}
		var err error
		stored, err = tx.Badge(b.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return &taplinev1.AssignBadgeResponse{Badge: badgeMessage(stored)}, nil
}

// readBadge checks a request.
func (s *Service) readBadge(req *taplinev1.AssignBadgeRequest) (store.Badge, error) {
	b := store.Badge{
		Person: record.PersonID(req.GetPerson()), Label: req.GetLabel(), AssignedAt: s.Now(), Temporary: req.GetTemporary(), Replaces: req.GetReplaces(),
	}
	if req.GetNotAfter() != nil {
		b.NotAfter = req.GetNotAfter().AsTime()
	}
	switch {
	case (req.GetBadge() == nil) == (req.GetPendingTap() == ""):
		return b, wire.E(wire.Invalid, "badge, pending_tap: give one of them")
	case directory.CheckLabel(req.GetLabel()) != nil:
		return b, directory.CheckLabel(req.GetLabel())
	case req.GetNotAfter() != nil && !req.GetNotAfter().IsValid():
		return b, wire.E(wire.Invalid, "not_after: out of range")
	case b.Temporary && (b.NotAfter.IsZero() || !b.NotAfter.After(s.Now()) || b.NotAfter.After(s.Now().Add(maxLent))):
		return b, wire.E(wire.Invalid, "not_after: a temporary badge ends within 31 days")
	case req.GetReplaceAtOnce() && req.GetReplaces() == "":
		return b, wire.E(wire.Invalid, "replace_at_once: say in replaces which badge")
	case len(req.GetReplaces()) > 64:
		return b, wire.E(wire.Invalid, "replaces: not the ID of a badge")
	case req.GetBadge() != nil:
		proof, err := s.Directory.ReadProof("badge", req.GetBadge())
		if err != nil {
			return b, err
		}
		b.Lookup, b.Number, b.Technology, b.Assurance = proof.Lookup, proof.Sealed, proof.Technology, proof.Assurance
	}
	id, err := uuid.NewV7()
	if err != nil {
		return b, fmt.Errorf("name badge: %w", err)
	}
	b.ID = id.String()
	return b, nil
}

func (s *Service) assign(tx *store.Tx, b store.Badge, req *taplinev1.AssignBadgeRequest) error {
	if _, err := tx.Person(b.Person); err != nil {
		return err
	}
	if code := req.GetPendingTap(); code != "" {
		r, err := tx.Refusal(strings.ToUpper(code))
		if errors.Is(err, store.ErrNotFound) {
			return wire.E(wire.NotFound, "pending_tap: no refused tap has the code %s", code[:min(len(code), 16)])
		}
		if err != nil {
			return err
		}
		b.Lookup, b.Number, b.Technology, b.Assurance = r.Lookup, r.Number, r.Technology, r.Assurance
	}
	if b.Replaces != "" {
		if err := s.replace(tx, &b, req.GetReplaceAtOnce()); err != nil {
			return err
		}
	}
	if err := directory.Give(tx, b, s.Now()); err != nil {
		return err
	}
	return tx.Changed()
}

// replace prepares that b takes the place of another badge.
func (s *Service) replace(tx *store.Tx, b *store.Badge, atOnce bool) error {
	old, err := tx.Badge(b.Replaces)
	if err != nil {
		return err
	}
	if old.Person != b.Person || old.Revoked {
		return wire.E(wire.Precondition, "replaces: badge %s is not one of %s that is in force", old.ID, b.Person)
	}
	if atOnce {
		b.Replaces = ""
		if err := tx.RevokeBadge(old.ID, directory.Replaced); err != nil {
			return err
		}
		return lease.Revoke(tx, old.Person, s.Now())
	}
	if end := s.Now().Add(replaceFor); old.NotAfter.IsZero() || old.NotAfter.After(end) {
		return tx.DescribeBadge(old.ID, old.Label, end)
	}
	return nil
}

// LoseBadge reports a badge lost, and ends what its person has open.
func (s *Service) LoseBadge(ctx context.Context, req *taplinev1.LoseBadgeRequest) (*taplinev1.LoseBadgeResponse, error) {
	b, err := s.changeBadge(ctx, "LoseBadge", req.GetId(), req, func(tx *store.Tx, b store.Badge) error {
		if b.Revoked {
			return wire.E(wire.Precondition, "badge %s is revoked (%s) already", b.ID, b.Reason)
		}
		if !b.LostAt.IsZero() {
			return nil
		}
		if err := tx.LoseBadge(b.ID, s.Now()); err != nil {
			return err
		}
		return lease.Revoke(tx, b.Person, s.Now())
	})
	return &taplinev1.LoseBadgeResponse{Badge: b}, err
}

// FindBadge says that a lost badge was found.
func (s *Service) FindBadge(ctx context.Context, req *taplinev1.FindBadgeRequest) (*taplinev1.FindBadgeResponse, error) {
	b, err := s.changeBadge(ctx, "FindBadge", req.GetId(), req, func(tx *store.Tx, b store.Badge) error {
		if b.Revoked {
			return wire.E(wire.Precondition, "badge %s was revoked (%s), for good: assign it anew if it is good again", b.ID, b.Reason)
		}
		if b.LostAt.IsZero() {
			return wire.E(wire.Precondition, "badge %s is not lost", b.ID)
		}
		if err := s.give(ctx, tx, b.Person, store.CredentialBadge); err != nil {
			return err
		}
		return tx.LoseBadge(b.ID, time.Time{})
	})
	return &taplinev1.FindBadgeResponse{Badge: b}, err
}

// changeBadge changes one badge and gives it as it is then.
func (s *Service) changeBadge(ctx context.Context, method, id string, req proto.Message, do func(*store.Tx, store.Badge) error) (*taplinev1.Badge, error) {
	var b store.Badge
	err := s.Change(ctx, method, id, req, func(tx *store.Tx) (err error) {
		if b, err = tx.Badge(id); err != nil {
			return err
		}
		if err := do(tx, b); err != nil {
			return err
		}
		if b, err = tx.Badge(id); err != nil {
			return err
		}
		return tx.Changed()
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return badgeMessage(b), nil
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
	b, err := s.changeBadge(ctx, "RevokeBadge", req.GetId(), req, func(tx *store.Tx, b store.Badge) error {
		if b.Revoked { // the first reason stands
			return nil
		}
		if err := tx.RevokeBadge(b.ID, req.GetReason()); err != nil {
			return err
		}
		return lease.Revoke(tx, b.Person, s.Now())
	})
	return &taplinev1.RevokeBadgeResponse{Badge: b}, err
}

func badgeMessage(b store.Badge) *taplinev1.Badge {
	return &taplinev1.Badge{
		Id: b.ID, Person: string(b.Person), Label: b.Label, Technology: b.Technology, Assurance: b.Assurance, Revoked: b.Revoked,
		Reason: b.Reason, NotAfter: office.Stamp(b.NotAfter), AssignedAt: office.Stamp(b.AssignedAt), LastUsedAt: office.Stamp(b.LastUsedAt),
		Source: b.Source, LostAt: office.Stamp(b.LostAt), Temporary: b.Temporary, Replaces: b.Replaces,
	}
}
