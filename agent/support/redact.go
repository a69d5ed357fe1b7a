package support

import (
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
)

// redacted stands for what was left out.
const redacted = "(left out)"

// secretKey is a key whose value may be a secret, whatever a later version of the configuration calls it. The key store is a place.
var (
	secretKey = regexp.MustCompile(`(?i)(pass|secret|token|credential|private|pin$|^key$|_key$)`)
	userInfo  = regexp.MustCompile(`//[^/@\s]+@`)
)

// redact is a configuration without secrets: without values of keys that sound like one, without users in addresses, and of programs the path alone.
func redact(config []byte) ([]byte, error) {
	var tree map[string]any
	if err := yaml.Unmarshal(config, &tree); err != nil {
		return nil, err
	}
	return yaml.Marshal(cleaned("", tree))
}

func cleaned(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, inner := range v {
			out[k] = cleaned(k, inner)
		}
		return out
	case []any:
		var out []any
		for i, inner := range v {
			if strings.HasSuffix(key, "hook") && i > 0 {
				inner = redacted
			}
			out = append(out, cleaned(key, inner))
		}
		return out
	case string:
		if secretKey.MatchString(key) && v != "" {
			return redacted
		}
		return userInfo.ReplaceAllString(v, "//")
	}
	if secretKey.MatchString(key) && v != nil {
		return redacted
	}
	return v
}
