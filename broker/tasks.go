package broker

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"tapline/broker/alarm"
	"tapline/broker/identity"
	"tapline/broker/lease"
	"tapline/broker/store"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

const (
	// houseEvery is how often what is due by time is looked after.
	houseEvery = 10 * time.Minute
	// claimsEvery is how often emergencies are looked for that nobody has answered for in time.
	claimsEvery = time.Minute
	// retryAfter is how long a task waits after a fault before it tries again.
	retryAfter = time.Second
)

// verify checks the own signatures of records soon after they are stored. What was left at the last stop comes first.
func (b *Broker) verify(ctx context.Context) error {
	return b.whenever(ctx, b.stored, func() error {
		_, err := b.ingest.VerifyPending(ctx)
		return err
	}, "records could not be verified")
}

// verifyLeft checks what another broker stored and did not come to check.
func (b *Broker) verifyLeft(ctx context.Context) error {
	_, err := b.ingest.VerifyPending(ctx)
	return err
}

// announce makes bundles for the stations on the line and tells them. It is a task of its own: in a large plant it takes a while, and neither what
// else stations are to be told nor any tap waits for it.
func (b *Broker) announce(ctx context.Context) error {
	return b.whenever(ctx, b.stale, func() error { return b.stations.Announce(ctx) }, "stations could not be told of new bundles")
}

// announceSoon wakes it.
func (b *Broker) announceSoon() { nudge(b.stale) }

// whenever runs do once, and again whenever it is woken. A fault is logged and tried again.
func (b *Broker) whenever(ctx context.Context, wake <-chan struct{}, do func() error, trouble string) error {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		case <-retry.C:
		}
		if err := do(); err != nil && ctx.Err() == nil {
			b.log.Error(trouble, zap.Error(err))
			retry.Reset(retryAfter)
		}
	}
}

// keepHouse does what is due by time: it seals the epochs of the broker's own chain, renews its CA and bundles that have aged, ends leases
// whose time is up, and forgets certificates and answers that ended long ago.
func (b *Broker) keepHouse(ctx context.Context) error {
	tick := time.NewTicker(houseEvery)
	defer tick.Stop()
	for {
		b.announceSoon() // bundles that have aged
		for what, do := range map[string]func(context.Context) error{
			"own chain could not be sealed":             b.acts.SealIfDue,
			"issuing CA could not be renewed":           b.authority.Rotate,
			"old certificates could not be purged":      b.authority.PurgeCertificates,
			"old answers could not be purged":           b.purgeTaps,
			"expired leases could not be ended":         b.endExpired,
			"administrator's identity was not renewed":  b.leaveAdmin,
			"old heads of the log could not be thinned": b.thinHeads,
			"records of others could not be verified":   b.verifyLeft,
			"old invitations could not be purged":       b.purgeInvitations,
		} {
			if err := do(ctx); err != nil && ctx.Err() == nil {
				b.log.Error(what, zap.Error(err))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// followAuthority takes over a step of the CA that another broker took, and tells this broker's stations of other roots: one that was retired must
// not go on being trusted, or issue, at the brokers beside.
func (b *Broker) followAuthority(ctx context.Context, r *identity.Registrar) error {
	before := b.authority.TrustVersion()
	if err := b.authority.Refresh(ctx); err != nil || b.authority.TrustVersion() == before {
		return err
	}
	trust, err := r.Trust()
	if err != nil {
		return err
	}
	for _, id := range b.board.Stations() {
		b.board.Tell(id, &taplinev1.StreamCommandsResponse{What: &taplinev1.StreamCommandsResponse_Trust{Trust: trust}})
	}
	return nil
}

// unclaimedAtOnce bounds one look at the emergencies that nobody answers for.
const unclaimedAtOnce = 1000

// watchClaims looks for them more often than the house is kept: whoever waits for the alarm waits for the time that was set.
func (b *Broker) watchClaims(ctx context.Context) error {
	tick := time.NewTicker(claimsEvery)
	defer tick.Stop()
	for {
		if err := b.tellUnclaimed(ctx); err != nil && ctx.Err() == nil {
			b.log.Error("unclaimed emergencies could not be told", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tellUnclaimed raises an alarm, once, for each emergency that not enough people have answered for in time.
func (b *Broker) tellUnclaimed(ctx context.Context) error {
	return b.store.Update(ctx, func(tx *store.Tx) error {
		now := b.now()
		late, err := tx.Unclaimed(now.Add(-b.cfg.claimWithin()), unclaimedAtOnce)
		if err != nil {
			return err
		}
		for _, e := range late {
			err := errors.Join(
				alarm.Raise(tx, alarm.EmergencyUnclaimed, e.Station, now, "emergency %s of %s (%s) lacks %d of %d claims", e.ID,
					e.OpenedAt.UTC().Format(time.RFC3339), e.Reason, e.Missing, record.ClaimsNeeded),
				tx.MarkAlarmed(e.ID, now))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// answersKept is how long a tap is answered again to the same request, and how long a help code is known.
const answersKept = 30 * 24 * time.Hour

func (b *Broker) purgeTaps(ctx context.Context) error {
	return b.store.Update(ctx, func(tx *store.Tx) error {
		before := b.now().Add(-answersKept)
		return errors.Join(tx.PurgeTaps(before), tx.PurgeBadgeRequests(before))
	})
}

func (b *Broker) purgeInvitations(ctx context.Context) error {
	return b.store.Update(ctx, func(tx *store.Tx) error { return tx.PurgeInvitations(b.now().Add(-answersKept)) })
}

// endExpired ends leases whose time is up. Whoever takes a lease looks at the time itself; this is for those who read the list.
func (b *Broker) endExpired(ctx context.Context) error {
	now := b.now()
	return b.store.Update(ctx, func(tx *store.Tx) error {
		expired, err := tx.ExpiredLeases(now)
		if err != nil {
			return err
		}
		for _, l := range expired {
			if err := tx.EndLease(l.ID, lease.CauseExpired, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// alive asks the store something small.
func (b *Broker) alive(ctx context.Context) error {
	return b.store.View(ctx, func(tx *store.Tx) error {
		_, err := tx.LastCursor()
		return err
	})
}
