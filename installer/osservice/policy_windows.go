package osservice

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/windows/registry"
)

func policy() (map[string]string, error) {
	prescribed := map[string]string{}
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, PolicyKey, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if errors.Is(err, registry.ErrNotExist) {
		return prescribed, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open Group Policy: %w", err)
	}
	defer func() { _ = key.Close() }()
	for _, name := range PolicyNames() {
		text, err := value(key, name)
		if errors.Is(err, registry.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read Group Policy %s: %w", name, err)
		}
		prescribed[name] = text
	}
	return prescribed, nil
}

// value is a string or a number as text; a policy has no other kinds.
func value(key registry.Key, name string) (string, error) {
	text, kind, err := key.GetStringValue(name)
	if !errors.Is(err, registry.ErrUnexpectedType) {
		return text, err
	}
	if kind != registry.DWORD && kind != registry.QWORD {
		return "", err
	}
	number, _, err := key.GetIntegerValue(name)
	return strconv.FormatUint(number, 10), err
}
