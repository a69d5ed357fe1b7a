package revoke

import (
	"context"
	"errors"
	"fmt"
	"time"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// at is the broker that the station of a try is connected to; the administrator is at the first.
func at(elsewhere bool) int {
	if elsewhere {
		return 1
	}
	return 0
}

// tryStation revokes a station and measures until its stream has ended and a call of it is refused.
func tryStation(ctx context.Context, p *plant, i int, elsewhere bool) (took times, err error) {
	s, err := p.station(ctx, at(elsewhere))
	if err != nil {
		return took, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := wait(ctx, i, 3*time.Second); err != nil {
		return took, err
	}
	begun := time.Now()
	if _, err := p.admin.RevokeStation(ctx, &taplinev1.RevokeStationRequest{Id: s.id, Reason: "stolen"}); err != nil {
		return took, err
	}
	if err := s.await(ctx, "the end of the stream", func() bool { return s.cut != nil }); err != nil {
		return took, err
	}
	if wire.KindOf(s.cut) != wire.Denied {
		return took, fmt.Errorf("the stream ended with %w, not because the station is revoked", s.cut)
	}
	if _, err := s.client.FetchBundle(ctx, &taplinev1.FetchBundleRequest{}); wire.KindOf(err) != wire.Denied {
		return took, fmt.Errorf("a call after the end of the stream got %w, want a refusal", err)
	}
	return times{online: time.Since(begun)}, nil
}

// tryBadge takes a badge back while its person has a session.
func tryBadge(ctx context.Context, p *plant, i int, elsewhere bool) (times, error) {
	return tryPersonal(ctx, p, i, elsewhere, func(_, badge string) error {
		_, err := p.admin.RevokeBadge(ctx, &taplinev1.RevokeBadgeRequest{Id: badge, Reason: "lost"})
		return err
	})
}

// tryPerson suspends a person who has a session.
func tryPerson(ctx context.Context, p *plant, i int, elsewhere bool) (times, error) {
	return tryPersonal(ctx, p, i, elsewhere, func(person, _ string) error {
		_, err := p.admin.PutPerson(ctx, &taplinev1.PutPersonRequest{Person: entry(person, true)})
		return err
	})
}

// tryPersonal measures until the badge is dead at the station: its session ended, its next tap refused, and no grant of it in the bundle that the
// station decides by when the broker is away.
func tryPersonal(ctx context.Context, p *plant, i int, elsewhere bool, act func(person, badge string) error) (took times, err error) {
	person, badge, number, err := p.hire(ctx)
	if err != nil {
		return took, err
	}
	s, err := p.station(ctx, at(elsewhere))
	if err != nil {
		return took, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	session, allowed, err := s.tap(ctx, number)
	if err != nil || !allowed {
		return took, fmt.Errorf("the first tap: allowed %t, %w", allowed, err)
	}
	if granted, err := s.grants(ctx, person); err != nil || !granted {
		return took, fmt.Errorf("the first bundle: granted %t, %w", granted, err)
	}
	if err := wait(ctx, i, time.Second); err != nil {
		return took, err
	}
	begun := time.Now()
	if err := act(person, badge); err != nil {
		return took, err
	}
	if _, allowed, err := s.tap(ctx, number); err != nil || allowed {
		return took, fmt.Errorf("a tap after it was revoked: allowed %t, %w", allowed, err)
	}
	if err := s.await(ctx, "the end of the session", func() bool { return !s.ended[session].IsZero() }); err != nil {
		return took, err
	}
	took.online = time.Since(begun)
	for seen := uint64(0); ; {
		granted, err := s.grants(ctx, person)
		if err != nil {
			return took, err
		}
		if !granted {
			took.bundle = time.Since(begun)
			return took, nil
		}
		if err := s.await(ctx, "a bundle without the badge", func() bool { return s.bundle > seen }); err != nil {
			return took, err
		}
		s.mu.Lock()
		seen = s.bundle
		s.mu.Unlock()
	}
}
