package alive

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapline/agent/clock"
)

func TestTheLastMarkIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alive")
	m := At(path)
	if got := m.Read(); got != nil {
		t.Fatalf("nothing was written, and %+v is read", got)
	}
	now := time.Date(2026, 11, 25, 6, 0, 0, 123456789, time.FixedZone("elsewhere", 7200))
	for i := range 3 {
		if err := m.Write(clock.Reading{Wall: now.Add(time.Duration(i) * time.Second), Boot: "boot-1", Monotonic: time.Duration(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	got := At(path).Read()
	if got == nil || !got.Wall.Equal(now.Add(2*time.Second)) || got.Wall.Location() != time.UTC || got.Boot != "boot-1" || got.Monotonic != 2 {
		t.Errorf("read %+v", got)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != size {
		t.Errorf("%v, %v", info, err)
	}
}

func TestAMarkThatIsNoneIsNoMark(t *testing.T) {
	for _, text := range []string{"", "x", "{}", `{"wall":"2026-11-25T06:00:00Z","boot":"b","mono_ns":-1}`, `{"wall":"2026-11-25T06:00:00Z","mono_ns":1}`} {
		path := filepath.Join(t.TempDir(), "alive")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := At(path).Read(); got != nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
	if err := At(filepath.Join(t.TempDir(), "no", "folder")).Write(clock.Reading{}); err == nil {
		t.Error("a mark in a folder that is not there is written")
	}
}
