package identity

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/vouch"
	"tapline/proto/wire"
)

const (
	// lookEvery bounds each wait, because the machine's clock may be set meanwhile.
	lookEvery   = 10 * time.Minute
	retryFirst  = 5 * time.Second
	retryMax    = 15 * time.Minute
	retryUrgent = 45 * time.Second // without a certificate there is no line
	retryRefuse = 20 * time.Minute // the broker said no: only an administrator changes that
	doubtEvery  = time.Minute      // at most, when the line is refused before the certificate is due
	jitterShare = 10               // renewals spread over a tenth of the time between renewal and expiry
)

// Run renews the certificate when it is due, until ctx ends; then it returns nil. A failure is told by Trouble and tried again for ever.
func (m *Manager) Run(ctx context.Context) error {
	retry := &backoff.ExponentialBackOff{InitialInterval: retryFirst, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: retryMax}
	retry.Reset()
	due, tried := m.firstDue(), time.Time{}
	for {
		timer := time.NewTimer(min(max(0, due.Sub(m.clock.Now())), lookEvery))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-m.nudge:
			due = m.clock.Now()
		case <-m.doubt:
			if wait := time.Until(tried.Add(doubtEvery)); due.After(m.clock.Now().Add(wait)) {
				due = m.clock.Now().Add(max(0, wait))
			}
		case <-timer.C:
		}
		timer.Stop()
		if m.clock.Now().Before(due) {
			continue
		}
		err := m.Renew(ctx)
		tried = time.Now()
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			retry.Reset()
			due = m.due()
			continue
		}
		wait := m.patience(err, retry.NextBackOff())
		due = m.clock.Now().Add(wait)
		m.o.Log.Warn("the station's certificate could not be renewed", zap.Error(err), zap.Duration("again_in", wait))
	}
}

// firstDue is now when a request was left open, else when the certificate is due.
func (m *Manager) firstDue() time.Time {
	if _, open, err := readPending(m.dir); open || err != nil {
		return m.clock.Now()
	}
	return m.due()
}

// due is the renewal time, spread by up to a tenth of what is left after it, so that a fleet that was enrolled in one hour does not come back in one.
func (m *Manager) due() time.Time {
	id := m.Current()
	at := id.RenewAt
	if at.IsZero() || at.After(id.NotAfter) {
		at = id.Certificate.Leaf.NotBefore.Add(id.NotAfter.Sub(id.Certificate.Leaf.NotBefore) / 2)
	}
	spread := id.NotAfter.Sub(at) / jitterShare
	if spread <= 0 {
		return at
	}
	return at.Add(rand.N(2*spread) - spread)
}

func (m *Manager) patience(err error, next time.Duration) time.Duration {
	switch {
	case errors.Is(err, ErrClone), errors.Is(err, ErrRevoked), errors.Is(err, ErrApproval):
		return retryRefuse/2 + rand.N(retryRefuse/2)
	case !m.clock.Now().Before(m.Current().NotAfter):
		return min(next, retryUrgent)
	}
	return next
}

// Renew gets the next certificate now: with the certificate in hand, or with the identity key when that has expired.
func (m *Manager) Renew(ctx context.Context) error {
	m.renewing.Lock()
	defer m.renewing.Unlock()
	err := m.renew(ctx)
	m.mu.Lock()
	m.trouble = err
	m.mu.Unlock()
	return err
}

func (m *Manager) renew(ctx context.Context) error {
	p, err := m.prepare()
	if err != nil {
		return fmt.Errorf("prepare renewal: %w", err)
	}
	err = m.exchange(ctx, p)
	if wire.OutOfTime(err) { // who of the two has the wrong clock does not matter: the broker's is the site's
		if told := m.askTime(ctx); told != nil {
			return fmt.Errorf("renew: %w; ask for the time: %w", err, told)
		}
		err = m.exchange(ctx, p) // the same request: it gets the same answer
	}
	return err
}

// exchange sends the request and takes over the answer.
func (m *Manager) exchange(ctx context.Context, p pending) error {
	id, err := m.request(ctx, p)
	if err != nil {
		return refusal(err)
	}
	if err := m.takeOver(p, id); err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	return nil
}

// request asks for the next certificate: with the one in hand, or with the identity key when the broker does not take that.
func (m *Manager) request(ctx context.Context, p pending) (id *taplinev1.Identity, err error) {
	err = wire.E(wire.Unauthenticated, "the certificate has expired")
	if m.clock.Now().Before(m.Current().NotAfter) {
		id, err = m.askRenewal(ctx, p)
	}
	if wire.KindOf(err) == wire.Unauthenticated {
		id, err = m.askRecovery(ctx, p)
	}
	return id, err
}

// refusal gives the answers that only an administrator can change their names.
func refusal(err error) error {
	switch wire.KindOf(err) {
	case wire.Stale:
		return fmt.Errorf("renew: %w: %w", ErrClone, err)
	case wire.Denied:
		return fmt.Errorf("renew: %w: %w", ErrRevoked, err)
	case wire.Precondition:
		return fmt.Errorf("renew: %w: %w", ErrApproval, err)
	}
	return fmt.Errorf("renew: %w", err)
}

// prepare writes the request down, or finds the one that was written before.
func (m *Manager) prepare() (pending, error) {
	m.mu.Lock()
	s := m.state
	m.mu.Unlock()
	if err := m.finish(s); err != nil {
		return pending{}, err
	}
	p, ok, err := readPending(m.dir)
	if err != nil {
		return pending{}, err
	}
	if ok && p.Chain == "" && p.JoinSequence == s.JoinSequence && p.Station == s.Station {
		return p, nil
	}
	p = pending{V: stateV, Station: s.Station, JoinSequence: s.JoinSequence, TLSKey: otherSlot(tlsSlot, s.TLSKey)}
	if p.CSR, err = newRequest(m.ks, p.TLSKey, s.Station); err != nil {
		return pending{}, err
	}
	return p, writeJSON(m.o.Disk, filepath.Join(m.dir, pendingFile), p)
}

func (m *Manager) askRenewal(ctx context.Context, p pending) (id *taplinev1.Identity, err error) {
	err = m.o.ask(ctx, m.Current().Brokers, m.TLS, func(ctx context.Context, r Registrar) error {
		if _, err := m.challenge(ctx, r); err != nil { // for the time alone
			return err
		}
		answer, err := r.Renew(ctx, &taplinev1.RenewRequest{Csr: p.CSR, JoinSequence: p.JoinSequence})
		id = answer.GetIdentity()
		return err
	})
	return id, err
}

// askRecovery shows no certificate: the signature over the broker's nonce says who we are.
func (m *Manager) askRecovery(ctx context.Context, p pending) (id *taplinev1.Identity, err error) {
	bare := func() *tls.Config {
		return wire.ClientTLS(func() (tls.Certificate, bool) { return tls.Certificate{}, false }, m.pool, m.clock.Now)
	}
	m.mu.Lock()
	join := m.state.Join
	m.mu.Unlock()
	err = m.o.ask(ctx, m.Current().Brokers, bare, func(ctx context.Context, r Registrar) error {
		challenge, err := m.challenge(ctx, r)
		if err != nil {
			return err
		}
		proof, err := m.SignWithIdentity(wire.RecoverDigest(string(p.Station), challenge.GetNonce(), p.CSR, p.JoinSequence))
		if err != nil {
			return err
		}
		answer, err := r.Recover(ctx, &taplinev1.RecoverRequest{
			Station: string(p.Station), Nonce: challenge.GetNonce(), Csr: p.CSR, JoinSequence: p.JoinSequence, Proof: proof, Join: join,
		})
		id = answer.GetIdentity()
		return err
	})
	return id, err
}

// askTime asks for the time over a line on which no certificate's dates count, and believes it because the broker signed it.
func (m *Manager) askTime(ctx context.Context) error {
	return m.o.ask(ctx, m.Current().Brokers, func() *tls.Config { return wire.UndatedTLS(m.pool) }, func(ctx context.Context, r Registrar) error {
		challenge, err := m.challenge(ctx, r)
		if err == nil && len(challenge.GetTime()) == 0 {
			err = wire.E(wire.Unsupported, "the broker does not sign the time")
		}
		return err
	})
}

// nonceSize is how many random bytes the broker signs with the time.
const nonceSize = 32

// challenge asks for a nonce and the time. A time that the broker signed is believed whatever we thought, another one only upwards.
func (m *Manager) challenge(ctx context.Context, r Registrar) (*taplinev1.GetChallengeResponse, error) {
	id := m.Current()
	ours := make([]byte, nonceSize)
	_, _ = crand.Read(ours)
	c, err := r.GetChallenge(ctx, &taplinev1.GetChallengeRequest{Station: string(id.Station), Nonce: ours})
	if err != nil {
		return nil, err
	}
	if len(c.GetTime()) == 0 {
		if t := c.GetBrokerTime(); t != nil {
			m.ObserveTime(t.AsTime())
		}
		return c, nil
	}
	at, err := vouch.OpenTime(c.GetTime(), id.EvidenceKey, id.Station, ours)
	if err != nil {
		return nil, err
	}
	return c, m.clock.settle(at)
}

// takeOver makes the answer the station's identity.
func (m *Manager) takeOver(p pending, answer *taplinev1.Identity) error {
	m.mu.Lock()
	had, now := m.state, *m.current
	m.mu.Unlock()
	key, err := getKey(m.ks, p.TLSKey)
	if err != nil {
		return err
	}
	want := expected{
		station: had.Station, chain: had.Chain, tlsKey: key.Public(), identity: m.spki, join: had.JoinSequence + 1, now: m.clock.Now(),
	}
	s, badge, err := want.accept(answer, had)
	if err != nil {
		return fmt.Errorf("the broker's answer: %w", err)
	}
	s.TLSKey = p.TLSKey
	if len(badge) == 0 || bytes.Equal(badge, now.BadgeKey) {
		badge = now.BadgeKey
	} else {
		s.BadgeKey = otherSlot(badgeSlot, had.BadgeKey)
		if err := m.ks.Put(s.BadgeKey, badge); err != nil {
			return err
		}
	}
	id, err := view(s, key, badge)
	if err != nil {
		return err
	}
	if err := writeJSON(m.o.Disk, filepath.Join(m.dir, stateFile), s); err != nil {
		return err
	}
	m.show(s, id)
	m.o.Log.Info("the station's certificate was renewed", zap.Time("until", id.NotAfter), zap.Uint64("join", id.JoinSequence))
	return m.finish(s)
}
