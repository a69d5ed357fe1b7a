package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// liveKeys are the settings that change while the station runs; one that ends with a dot stands for all below it.
func liveKeys() []string {
	return []string{
		"account_hook", "brokers", "decide_within", "emergency.", "gate.", "heartbeat", "journal.", "lock.", "log.level", "mode", "panel", "readers.", "session.", "sign.", "signin.",
		"tokens.", "unattributed.input_quiet", "unattributed.longest", "web.hosts", "web.listen",
	}
}

// lives reports whether a setting changes while the station runs.
func lives(key string) bool {
	for _, k := range liveKeys() {
		if key == k || strings.HasSuffix(k, ".") && strings.HasPrefix(key, k) {
			return true
		}
	}
	return false
}

// change is a new configuration on its way: everything that can fail has been done, and nothing is in force yet.
type change struct {
	cfg     Config
	sources []named
	commit  []func()
	cancel  []func()
}

// Reload reads the configuration again and puts what can change while the station runs into force, all of it or nothing. It ends no session.
func (a *Agent) Reload(ctx context.Context) (*taplinev1.ReloadResponse, error) {
	if a.opts.Reload == nil {
		return nil, wire.E(wire.Unsupported, "this agent has no configuration to read again")
	}
	a.reloading.Lock()
	defer a.reloading.Unlock()
	cfg, err := a.opts.Reload()
	if err == nil {
		err = errors.Join(cfg.Check()...)
	}
	var c *change
	if err == nil {
		c, err = a.prepare(ctx, cfg)
	}
	if err != nil {
		a.log.Error("the configuration was not taken; the old one stays", zap.Error(err))
		return nil, wire.E(wire.Precondition, "the old configuration stays: %w", err)
	}
	out := a.changed(cfg)
	if err := a.apply(ctx, c); err != nil {
		return nil, wire.E(wire.Unavailable, "the old configuration stays: %w", err)
	}
	a.log.Info("configuration read again", zap.Strings("applied", out.GetApplied()), zap.Strings("pending", out.GetPending()))
	return out, nil
}

// changed names what is other in cfg than in force: what is applied, and what waits for a restart.
func (a *Agent) changed(cfg Config) *taplinev1.ReloadResponse {
	out := &taplinev1.ReloadResponse{}
	atStart, before, after := flatten(a.cfg), flatten(a.settings()), flatten(cfg)
	for _, key := range slices.Sorted(maps.Keys(after)) {
		switch {
		case lives(key) && before[key] != after[key]:
			out.Applied = append(out.Applied, key)
		case !lives(key) && atStart[key] != after[key]:
			out.Pending = append(out.Pending, key)
		}
	}
	return out
}

// prepare does whatever can fail.
func (a *Agent) prepare(ctx context.Context, cfg Config) (*change, error) {
	c := &change{cfg: cfg}
	var err error
	if c.sources, err = a.sourcesOf(cfg, a.rack.keys); err != nil {
		return nil, err
	}
	commit, cancel, err := a.api.Move(ctx, cfg.Web.Listen, cfg.Web.Hosts)
	if err != nil {
		return nil, fmt.Errorf("web.listen %q: %w", cfg.Web.Listen, err)
	}
	c.commit, c.cancel = append(c.commit, commit), append(c.cancel, cancel)
	return c, nil
}

// apply puts a prepared change into force. Only the end of ctx can stop it, before anything has changed.
func (a *Agent) apply(ctx context.Context, c *change) error {
	if !slices.Equal(keysOf(c.sources), a.rack.keys) {
		if err := a.rack.change(ctx, c.sources); err != nil {
			for _, cancel := range c.cancel {
				cancel()
			}
			return err
		}
	}
	moved := !slices.Equal(a.settings().Brokers, c.cfg.Brokers)
	beats := a.settings().Heartbeat != c.cfg.Heartbeat
	a.inForce.Store(&c.cfg)
	for _, commit := range c.commit {
		commit()
	}
	a.loop.setRules(c.cfg.Rules())
	a.wish()
	a.lines.on.Store(c.cfg.Panel == "terminal")
	if beats {
		a.loop.setHeartbeat(c.cfg.Heartbeat)
	}
	if moved {
		a.moved.send()
	}
	if level, err := zapcore.ParseLevel(c.cfg.Log.Level); err == nil && a.opts.Level != nil {
		a.opts.Level.SetLevel(level)
	}
	return nil
}

// flatten gives each setting under its key, as session.idle. A list is one setting.
func flatten(cfg Config) map[string]string {
	flat := map[string]string{}
	b, err := yaml.Marshal(cfg)
	var tree map[string]any
	if err == nil {
		err = yaml.Unmarshal(b, &tree)
	}
	if err != nil { // what was read from YAML goes back to it
		return flat
	}
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			flat[strings.TrimSuffix(prefix, ".")] = fmt.Sprint(v)
			return
		}
		for key, v := range m {
			walk(prefix+key+".", v)
		}
	}
	walk("", tree)
	return flat
}
