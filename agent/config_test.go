package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadConfig(path)
}

func TestAnEmptyConfigurationIsAGoodOne(t *testing.T) {
	want, err := DefaultConfig()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"nothing": "", "a comment": "# nothing\n", "no keys": "{}\n", "keys without values": "session:\n  # idle: 3s\nreaders:\n  pcsc:\n"} {
		got, err := load(t, text)
		if err != nil || len(got.Check()) > 0 {
			t.Errorf("%s: %v, %v", name, err, got.Check())
		}
		if a, b := flatten(got), flatten(want); len(a) == 0 || len(a) != len(b) || a["session.bounce"] != b["session.bounce"] || !got.Readers.PCSC.Enabled {
			t.Errorf("%s: %v", name, a)
		}
	}
}

func TestAConfigurationSaysOnlyWhatDiffers(t *testing.T) {
	cfg, err := load(t, `
mode: gate
session:
  idle: 10m
  bounce: 0s
readers:
  pcsc:
    ignore: ["* 00 01"]
  serial:
    - device: /dev/ttyUSB0
      format: decimal
`)
	if err != nil {
		t.Fatal(err)
	}
	if faults := cfg.Check(); len(faults) > 0 {
		t.Errorf("faults %v", faults)
	}
	r := cfg.Rules()
	if r.Idle != 10*time.Minute || r.Bounce != 0 || r.IdleWarning != time.Minute || r.Mode != record.ModeAttribute {
		t.Errorf("rules %+v", r)
	}
	if !cfg.Readers.PCSC.Enabled || len(cfg.Readers.PCSC.Ignore) != 1 || cfg.Readers.Serial[0].Format != "decimal" {
		t.Errorf("readers %+v", cfg.Readers)
	}
}

func TestFaultsOfAConfiguration(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a key that is not known", "colour: green", "colour"},
		{"a key that is not known, further in", "session:\n  bouncy: 3s", "bouncy"},
		{"no duration", "heartbeat: often", "often"},
		{"a relative folder", "state_dir: here", "state_dir"},
		{"a station that is no station", "station: press", "site/area/line/station"},
		{"a mode that is none", "mode: open", "mode"},
		{"a store that is none", "keystore: drawer", "keystore"},
		{"no time to decide", "decide_within: 1ms", "decide_within"},
		{"a negative time", "session:\n  ask: -1s", "session.ask"},
		{"a serial reader without a device", "readers:\n  serial:\n    - baud: 9600", "readers.serial[0]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := load(t, tt.text)
			if err == nil {
				err = cfg.Fault()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that names %q", err, tt.want)
			}
		})
	}
}

func TestWordsOfRecordsAreThoseOfTheSchema(t *testing.T) {
	for n := range taplinev1.RefusalCause_name {
		c := taplinev1.RefusalCause(n)
		if c == taplinev1.RefusalCause_REFUSAL_CAUSE_UNSPECIFIED {
			continue
		}
		if got := refusalOf(refusalWord(c)); got != c {
			t.Errorf("%s becomes %q becomes %s", c, refusalWord(c), got)
		}
		if got := refusalName(record.Reason(c.String())); got != refusalWord(c) || refusalName(got) != got {
			t.Errorf("%s in a bundle becomes %q", c, got)
		}
	}
	for n := range taplinev1.EndCause_name {
		c := taplinev1.EndCause(n)
		if c == taplinev1.EndCause_END_CAUSE_UNSPECIFIED {
			continue
		}
		if got := causeOf(causeWord(c)); got != c {
			t.Errorf("%s becomes %q becomes %s", c, causeWord(c), got)
		}
	}
	for _, m := range []record.Mode{record.ModeAttribute, record.ModeGate, record.ModeLock, record.ModeSignIn} {
		if modeOf(m) == taplinev1.Mode_MODE_UNSPECIFIED {
			t.Errorf("mode %s has no word on the wire", m)
		}
	}
}
