package openbao

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
)

const (
	lookEvery   = 15 * time.Second // while the vault is well
	firstRetry  = time.Second
	longestWait = 30 * time.Second
	// alarmAfter is how many looks in a row must fail until somebody is called.
	alarmAfter = 3
)

// Watcher hears how the vault is.
type Watcher struct {
	// Gone is called once when the vault has been away for some looks, Back when it works: at the first look, and after each time that it was away.
	Gone func(ctx context.Context, why error)
	Back func(ctx context.Context)
}

// Run looks after the vault until ctx ends: it renews the token, and opens the vault to calls again when it is well.
func (c *Client) Run(ctx context.Context, w Watcher) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	first := true
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		case <-timer.C:
		}
		err := c.Look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if c.looked(err, first) && err == nil {
			w.Back(ctx)
		}
		first = first && err != nil
		c.mu.Lock()
		failures := c.failures
		c.mu.Unlock()
		if failures == alarmAfter {
			w.Gone(ctx, err)
		}
		wait := lookEvery
		if failures > 0 {
			wait = min(longestWait, firstRetry<<min(failures-1, 8))
		}
		timer.Reset(wait)
	}
}

// looked notes how a look went, and says whether the vault has changed, or was looked at for the first time.
func (c *Client) looked(err error, first bool) bool {
	if err != nil {
		c.trip(err)
		c.mu.Lock()
		c.failures++
		c.mu.Unlock()
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.trouble
	c.trouble, c.failures = nil, 0
	if was != nil {
		c.log.Info("the vault can be used again", zap.Time("away_since", c.since))
	}
	return was != nil || first
}

// Look asks the vault how it is, and sees to the token.
func (c *Client) Look(ctx context.Context) error {
	return c.within(ctx, func(ctx context.Context) error {
		if err := c.health(ctx); err != nil {
			return err
		}
		if _, err := c.ready(ctx, 0); err != nil {
			return asAway(err)
		}
		return asAway(c.renew(ctx))
	})
}

func (c *Client) health(ctx context.Context) error {
	health, err := c.bare.Sys().HealthWithContext(ctx)
	if err = c.fault(ctx, err); err != nil {
		return asAway(err)
	}
	switch {
	case !health.Initialized:
		return away("it is not initialised")
	case health.Sealed:
		return away("it is sealed")
	}
	return nil
}

func asAway(err error) error {
	if err == nil || errors.Is(err, ErrAway) {
		return err
	}
	return away("%w", err)
}
