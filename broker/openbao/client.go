package openbao

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/openbao/openbao/api/v2"
	"go.uber.org/zap"

	"tapline/broker/vault"
)

// Client speaks to a vault. Its methods may be called from several goroutines; Run only once.
type Client struct {
	cfg  Config
	now  func() time.Time
	log  *zap.Logger
	bare *api.Client // without a token
	full *api.Client
	kv   *api.KVv2
	turn chan struct{} // whoever logs in holds it
	wake chan struct{} // makes Run look at once

	mu       sync.Mutex // guards what is below
	trouble  error      // nil while the vault works
	since    time.Time
	ticket   ticket
	failures int
}

// ticket is what is known of the token.
type ticket struct {
	held      bool
	number    uint64    // rises with each login
	renewAt   time.Time // zero for one that lasts for ever
	expires   time.Time
	full      time.Duration // how long it lasted when it was new
	renewable bool
}

// New makes a client; it speaks to nobody yet. Give it a configuration without faults.
func New(cfg Config, log *zap.Logger, now func() time.Time) (*Client, error) {
	cfg = cfg.filled()
	if err := errors.Join(cfg.Check()...); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, now: now, log: log, turn: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	var err error
	if c.bare, err = cfg.dial(); err != nil {
		return nil, errors.New("openbao.address: it cannot be used")
	}
	if c.full, err = cfg.dial(); err != nil {
		return nil, errors.New("openbao.address: it cannot be used")
	}
	c.kv = c.full.KVv2(cfg.Mount)
	return c, nil
}

// field is where a secret lies in its entry.
const field = "secret"

func (c *Client) at(path string) string { return c.cfg.Prefix + "/" + path }

// Create keeps a secret at a path. If there is one already it stays, and is given back; nothing, if it was deleted and the path is used up.
func (c *Client) Create(ctx context.Context, path string, s vault.Secret) (vault.Secret, error) {
	err := c.call(ctx, func(ctx context.Context) error {
		_, err := c.kv.Put(ctx, c.at(path), map[string]any{field: string(s)}, api.WithCheckAndSet(0))
		if lost(err) {
			return errTaken
		}
		return err
	})
	if errors.Is(err, errTaken) || errors.Is(err, ErrDenied) { // without the right to update, which the broker need not have, a taken path is denied
		is, got := c.Get(ctx, path)
		switch {
		case got == nil:
			return is, nil
		case errors.Is(got, ErrMissing) && errors.Is(err, errTaken):
			return vault.Secret{}, nil
		case errors.Is(got, ErrMissing):
			return nil, err
		}
		return nil, got
	}
	if err != nil {
		return nil, err
	}
	return bytes.Clone(s), nil
}

// lost says that a write came second.
func lost(err error) bool {
	var status *api.ResponseError
	return errors.As(err, &status) && status.StatusCode == 400 && strings.Contains(strings.Join(status.Errors, " "), "check-and-set")
}

// Get gives the secret at a path; ErrMissing if there is none.
func (c *Client) Get(ctx context.Context, path string) (vault.Secret, error) {
	var found vault.Secret
	err := c.call(ctx, func(ctx context.Context) error {
		entry, err := c.kv.Get(ctx, c.at(path))
		if err != nil {
			return err
		}
		text, ok := entry.Data[field].(string)
		if !ok { // deleted, or by somebody else
			return api.ErrSecretNotFound
		}
		found = vault.Secret(text)
		return nil
	})
	return found, err
}

// Delete forgets what is at a path for good, with all its versions. Nothing there is no error.
func (c *Client) Delete(ctx context.Context, path string) error {
	err := c.call(ctx, func(ctx context.Context) error { return c.kv.DeleteMetadata(ctx, c.at(path)) })
	if errors.Is(err, ErrMissing) {
		return nil
	}
	return err
}

// call makes one call in its time, with a token. A token that is not good any more is replaced once.
func (c *Client) call(ctx context.Context, do func(context.Context) error) error {
	if err := c.Away(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, errSlow)
	defer cancel()
	err := c.try(ctx, do)
	if errors.Is(err, ErrAway) {
		c.trip(err)
	}
	return err
}

func (c *Client) try(ctx context.Context, do func(context.Context) error) error {
	number, err := c.ready(ctx, 0)
	if err != nil {
		return err
	}
	err = c.told(ctx, do(ctx))
	if !errors.Is(err, ErrDenied) {
		return err
	}
	// It may be the token that is not good, or the path: the vault answers both alike.
	if _, look := c.full.Auth().Token().LookupSelfWithContext(ctx); !errors.Is(c.fault(ctx, look), ErrDenied) {
		return err
	}
	if _, err := c.ready(ctx, number); err != nil {
		return err
	}
	return c.told(ctx, do(ctx))
}

func (c *Client) told(ctx context.Context, err error) error {
	if errors.Is(err, errTaken) {
		return err
	}
	return c.fault(ctx, err)
}

// Away is why the vault cannot be used now; nil while it can.
func (c *Client) Away() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trouble
}

// trip closes the vault to every call until Run finds it well.
func (c *Client) trip(err error) {
	c.mu.Lock()
	first := c.trouble == nil
	if first {
		c.since = c.now()
	}
	c.trouble = err
	c.mu.Unlock()
	if first {
		c.log.Warn("the vault cannot be used", zap.Error(err))
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// Conditions are what needs somebody's eye now.
func (c *Client) Conditions() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	if c.trouble != nil {
		all = append(all, fmt.Sprintf("openbao %s: %v, since %s: secrets that lie there are neither handed out nor changed", c.cfg.Address, c.trouble,
			c.since.UTC().Format(time.RFC3339)))
	}
	if t := c.ticket; t.held && !t.expires.IsZero() && !t.renewable && c.cfg.Auth.TokenFile != "" {
		all = append(all, fmt.Sprintf("openbao: the token in token_file cannot be renewed and ends at %s", t.expires.UTC().Format(time.RFC3339)))
	}
	return all
}
