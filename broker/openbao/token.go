package openbao

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/openbao/openbao/api/v2"
)

// ready makes sure that there is a token, another one than that of a number that was not taken. It gives its number.
func (c *Client) ready(ctx context.Context, not uint64) (uint64, error) {
	have := func() (uint64, bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		t := c.ticket
		return t.number, t.held && t.number != not && (t.expires.IsZero() || c.now().Before(t.expires))
	}
	if n, ok := have(); ok {
		return n, nil
	}
	select { // one logs in, the others wait for it
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return 0, c.fault(ctx, ctx.Err())
	}
	if n, ok := have(); ok {
		return n, nil
	}
	return c.login(ctx)
}

func (c *Client) login(ctx context.Context) (uint64, error) {
	token, t, err := c.enter(ctx)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	t.number, t.held = c.ticket.number+1, true
	c.ticket = t
	c.mu.Unlock()
	c.full.SetToken(token)
	c.log.Info("logged in at the vault")
	return t.number, nil
}

// enter gets a token.
func (c *Client) enter(ctx context.Context) (string, ticket, error) {
	if c.cfg.Auth.AppRole == nil {
		return c.fromFile(ctx)
	}
	role := c.cfg.Auth.AppRole
	secret, err := credential(role.SecretIDFile)
	if err != nil {
		return "", ticket{}, away("auth.approle.secret_id_file: %w", err)
	}
	got, err := c.bare.Logical().WriteWithContext(ctx, "auth/"+role.Mount+"/login", map[string]any{"role_id": role.RoleID, "secret_id": secret})
	switch err = c.fault(ctx, err); {
	case errors.Is(err, ErrAway) || ctx.Err() != nil:
		return "", ticket{}, err
	case err != nil: // 400 for a wrong role or secret ID, 403 and 404 for a method that is not there
		return "", ticket{}, away("it does not let the role in: see auth.approle, and make a new secret ID if that one has ended")
	case got == nil || got.Auth == nil || got.Auth.ClientToken == "":
		return "", ticket{}, away("it does not answer as OpenBao does")
	}
	return got.Auth.ClientToken, c.lasting(time.Duration(got.Auth.LeaseDuration)*time.Second, got.Auth.Renewable), nil
}

func (c *Client) fromFile(ctx context.Context) (string, ticket, error) {
	token, err := credential(c.cfg.Auth.TokenFile)
	if err != nil {
		return "", ticket{}, away("auth.token_file: %w", err)
	}
	one, err := c.bare.Clone()
	if err != nil {
		return "", ticket{}, away("a client cannot be made")
	}
	one.SetNamespace(c.cfg.Namespace)
	one.SetToken(token)
	got, err := one.Auth().Token().LookupSelfWithContext(ctx)
	switch err = c.fault(ctx, err); {
	case errors.Is(err, ErrDenied):
		return "", ticket{}, away("it does not take the token in auth.token_file")
	case err != nil:
		return "", ticket{}, err
	}
	ttl, renewable := terms(got)
	return token, c.lasting(ttl, renewable), nil
}

// terms reads what the vault says of a token.
func terms(s *api.Secret) (ttl time.Duration, renewable bool) {
	if s == nil {
		return 0, false
	}
	if n, ok := s.Data["ttl"].(json.Number); ok {
		seconds, _ := n.Int64()
		ttl = time.Duration(seconds) * time.Second
	}
	renewable, _ = s.Data["renewable"].(bool)
	return ttl, renewable
}

// lasting is what is known of a token that lasts so long from now; 0 is for ever.
func (c *Client) lasting(ttl time.Duration, renewable bool) ticket {
	t := ticket{renewable: renewable, full: ttl}
	if ttl > 0 {
		t.expires, t.renewAt = c.now().Add(ttl), c.now().Add(ttl*2/3)
	}
	return t
}

// renew makes the token last longer when two thirds of its time have gone. One that cannot be renewed, or only for less than half of what it was, is
// replaced, where there is something to log in with.
func (c *Client) renew(ctx context.Context) error {
	c.mu.Lock()
	t := c.ticket
	c.mu.Unlock()
	if !t.held || t.renewAt.IsZero() || c.now().Before(t.renewAt) {
		return nil
	}
	if t.renewable {
		got, err := c.full.Auth().Token().RenewSelfWithContext(ctx, 0)
		if err = c.fault(ctx, err); err != nil && !errors.Is(err, ErrDenied) && !errors.Is(err, errBad) {
			return err
		}
		if err == nil && got != nil && got.Auth != nil {
			ttl := time.Duration(got.Auth.LeaseDuration) * time.Second
			if ttl >= t.full/2 || c.cfg.Auth.AppRole == nil {
				c.keepTicket(t, c.lasting(ttl, got.Auth.Renewable))
				return nil
			}
		}
	}
	_, err := c.ready(ctx, t.number)
	return err
}

// keepTicket notes that a token lasts longer, if it is still the one.
func (c *Client) keepTicket(was, is ticket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ticket.number == was.number {
		is.number, is.held, is.full = was.number, true, max(was.full, is.full)
		c.ticket = is
	}
}
