package openbao

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Asked is what "tapbroker check" shows.
type Asked struct {
	Lines  []string
	Faults []error
}

// askPath is a path like those that secrets have. Nothing is written there.
const askPath = "check/shared/1"

// Ask asks the vault how it is and what the broker may do there. It changes nothing but that it logs in.
func Ask(ctx context.Context, cfg Config, now func() time.Time) Asked {
	var a Asked
	c, err := New(cfg, zap.NewNop(), now)
	if err != nil {
		return Asked{Faults: []error{err}}
	}
	bad := func(hint string, err error) Asked {
		a.Faults = append(a.Faults, fmt.Errorf("openbao %s: %w; %s", c.cfg.Address, err, hint))
		return a
	}
	if err := c.within(ctx, c.health); err != nil {
		return bad("is it started and unsealed, and are address and ca_file right?", err)
	}
	a.Lines = append(a.Lines, c.cfg.Address+": reached, not sealed")
	if err := c.within(ctx, func(ctx context.Context) error { _, err := c.ready(ctx, 0); return err }); err != nil {
		return bad("correct openbao.auth", err)
	}
	a.Lines = append(a.Lines, "logged in, "+c.life())
	if err := c.within(ctx, c.engine); err != nil {
		a = bad(fmt.Sprintf("want a KV engine of version 2 at %s: bao secrets enable -path=%s -version=2 kv", c.cfg.Mount, c.cfg.Mount), err)
	}
	for _, want := range []struct{ part, rights string }{{"data", "create read"}, {"metadata", "delete"}} {
		if err := c.within(ctx, func(ctx context.Context) error { return c.may(ctx, want.part, strings.Fields(want.rights)) }); err != nil {
			quoted := `"` + strings.ReplaceAll(want.rights, " ", `", "`) + `"`
			a = bad(fmt.Sprintf("give its policy: path \"%s/%s/%s/*\" { capabilities = [%s] }", c.cfg.Mount, want.part, c.cfg.Prefix, quoted), err)
		}
	}
	if len(a.Faults) == 0 {
		a.Lines = append(a.Lines, fmt.Sprintf("secrets go below %s/%s, with the rights that it takes", c.cfg.Mount, c.cfg.Prefix))
	}
	return a
}

// within does one thing in the time of a call.
func (c *Client) within(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, errSlow)
	defer cancel()
	return do(ctx)
}

func (c *Client) life() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch t := c.ticket; {
	case t.expires.IsZero():
		return "with a token that never ends: one that is renewed is safer"
	case t.renewable:
		return "with a token for " + t.full.String() + " that can be renewed"
	default:
		return "with a token for " + t.full.String()
	}
}

// engine checks that there is a KV engine of version 2.
func (c *Client) engine(ctx context.Context) error {
	got, err := c.full.Logical().ReadWithContext(ctx, "sys/internal/ui/mounts/"+c.cfg.Mount)
	if err = c.fault(ctx, err); errors.Is(err, ErrDenied) || err == nil && got == nil {
		return fmt.Errorf("mount %s: it is not there, or the broker has no right below it", c.cfg.Mount)
	}
	if err != nil {
		return err
	}
	options, _ := got.Data["options"].(map[string]any)
	if got.Data["type"] != "kv" || options["version"] != "2" {
		return fmt.Errorf("mount %s is no KV engine of version 2", c.cfg.Mount)
	}
	return nil
}

// may checks the broker's rights on a path.
func (c *Client) may(ctx context.Context, part string, want []string) error {
	path := c.cfg.Mount + "/" + part + "/" + c.at(askPath)
	have, err := c.full.Sys().CapabilitiesSelfWithContext(ctx, path)
	if err = c.fault(ctx, err); err != nil {
		return err
	}
	if slices.Contains(have, "root") {
		return nil
	}
	var lacking []string
	for _, w := range want {
		if !slices.Contains(have, w) {
			lacking = append(lacking, w)
		}
	}
	if len(lacking) > 0 {
		return fmt.Errorf("%s: the broker lacks the right to %s", path, strings.Join(lacking, " and "))
	}
	return nil
}
