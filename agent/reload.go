package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"go.uber.org/zap/zapcore"

	taplinev1 "tapline/proto/tapline/v1"
)

// reloaded applies what may change, and names what changed.
func (a *Agent) reloaded(cfg Config) *taplinev1.ReloadResponse {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	out := &taplinev1.ReloadResponse{}
	before, after := flatten(a.cfg), flatten(cfg)
	for _, key := range slices.Sorted(maps.Keys(after)) {
		switch {
		case before[key] == after[key]:
		case key == "log.level" && a.opts.Level != nil, strings.HasPrefix(key, "session."), strings.HasPrefix(key, "emergency."):
			out.Applied = append(out.Applied, key)
		default:
			out.Pending = append(out.Pending, key)
		}
	}
	a.cfg.Session, a.cfg.Emergency, a.cfg.Log.Level = cfg.Session, cfg.Emergency, cfg.Log.Level
	a.loop.setRules(a.cfg.Rules())
	if level, err := zapcore.ParseLevel(cfg.Log.Level); err == nil && a.opts.Level != nil {
		a.opts.Level.SetLevel(level)
	}
	return out
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
