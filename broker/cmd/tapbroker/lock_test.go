package main

import (
	"path/filepath"
	"strings"
	"testing"

	"tapline/broker"
	"tapline/installer/osservice"
)

// TestTwoDoNotWorkOnOneDataFolder holds the folder as a broker does, and calls what must be alone, and what may go on.
func TestTwoDoNotWorkOnOneDataFolder(t *testing.T) {
	data, file := used(t), filepath.Join(t.TempDir(), "tapline.gz")
	unlock, err := lockData(broker.Config{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"backup", file}, {"log", "verify"}, {"key", "rotate"}, {"key", "retire"}, {"key", "status"}, {"migrate", "--status"}} {
		if out, err := run(t, data, args...); err != nil {
			t.Errorf("%v beside a broker: %v\n%s", args, err, out)
		}
	}
	alone := [][]string{{"serve"}, {"restore", file, "--force"}, {"log", "rebuild"}, {"log", "restart", "--yes"}}
	for _, args := range alone {
		_, err := run(t, data, args...)
		if osservice.CodeOf(err) != osservice.Refused || !strings.Contains(osservice.HintOf(err), "stop the broker") {
			t.Errorf("%v beside a broker: %v (%s)", args, err, osservice.HintOf(err))
		}
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	for _, args := range alone[1:] {
		if out, err := run(t, data, args...); err != nil {
			t.Errorf("%v after the broker stopped: %v\n%s", args, err, out)
		}
	}
	if _, err := lockData(broker.Config{Data: data, Store: "postgres://h/d"}); err != nil {
		t.Errorf("a store elsewhere: %v", err)
	}
}
