package tries

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"tapline/agent/statefile"
	"tapline/proto/record"
)

func open(t *testing.T, dir string, now func() time.Time) *Book {
	t.Helper()
	b, err := Open(Config{Dir: dir, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wait lets time pass in a bubble.
func wait(d time.Duration) { <-time.After(d) }

func TestABadgeIsLockedForLongerAndLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir(), time.Now)
		for range free {
			if locked := b.Begin("ben"); locked != 0 {
				t.Fatalf("locked for %s", locked)
			}
		}
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			want *= time.Minute
			if locked := b.Begin("ben"); locked != want {
				t.Fatalf("locked for %s, want %s", locked, want)
			}
			if locked := b.Begin("anna"); locked != 0 {
				t.Fatalf("Anna is locked for %s", locked)
			}
			b.Good("anna")
			wait(want - time.Second)
			if locked := b.Begin("ben"); locked != time.Second {
				t.Fatalf("a second before: locked for %s", locked)
			}
			wait(time.Second)
			if locked := b.Begin("ben"); locked != 0 {
				t.Fatalf("after %s: locked for another %s", want, locked)
			}
		}
		wait(time.Hour)
		b.Begin("ben")
		b.Good("ben")
		if locked := b.Begin("ben"); locked != 0 {
			t.Errorf("after a good one: locked for %s", locked)
		}
	})
}

func TestManyBadgesBuyNoMoreThanTheStationHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, t.TempDir(), time.Now)
		tried := 0
		for range 60 { // an hour, each minute ten badges
			for i := range 10 {
				if b.Begin(record.BadgeRef('a'+rune(i))) == 0 {
					tried++
				}
			}
			wait(time.Minute)
		}
		if tried > stationFree+60 {
			t.Errorf("%d tries in an hour", tried)
		}
	})
}

func TestARestartForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		off := time.Duration(0)
		clock := func() time.Time { return time.Now().Add(off) }
		for i := range free {
			if locked := open(t, dir, clock).Begin("ben"); locked != 0 {
				t.Fatalf("try %d: locked for %s", i, locked)
			}
		}
		off = -24 * time.Hour // somebody sets the clock back
		if locked := open(t, dir, clock).Begin("ben"); locked != time.Minute {
			t.Errorf("after a restart: locked for %s, want %s", locked, time.Minute)
		}
		off = 0
		wait(time.Minute)
		if locked := open(t, dir, clock).Begin("ben"); locked != 0 {
			t.Errorf("a minute later: locked for %s", locked)
		}
	})
}

func TestAFileThatCannotBeReadGivesNoTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, text := range []string{"", "many", `{"station":{"wrong":-5}}`} {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, fileName), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			b := open(t, dir, time.Now)
			if locked := b.Begin("ben"); locked != time.Minute {
				t.Errorf("%q: locked for %s", text, locked)
			}
			wait(time.Minute)
			if locked := b.Begin("ben"); locked != 0 {
				t.Errorf("%q, a minute later: locked for %s", text, locked)
			}
		}
	})
}

// full is a disk that takes nothing.
type full struct{ statefile.Disk }

func (full) CreateTemp(string, string) (statefile.File, error) { return nil, errors.New("no space") }

func TestAFullDiskLetsNobodyWaitAndCountsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := Open(Config{Dir: t.TempDir(), Now: time.Now, Disk: full{statefile.OS()}})
		if err != nil {
			t.Fatal(err)
		}
		for range free {
			if locked := b.Begin("ben"); locked != 0 {
				t.Errorf("locked for %s", locked)
			}
		}
		if b.Begin("ben") == 0 {
			t.Error("a sixth try")
		}
	})
}

// TestNobodyGetsMoreTriesThanTheirTime is the law: whatever happens, restarts and clocks that are set back among it, wrong tries of one badge stay within five and
// one for each lock that has passed.
func TestNobodyGetsMoreTriesThanTheirTime(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			dir := t.TempDir()
			off := time.Duration(0)
			clock := func() time.Time { return time.Now().Add(off) }
			b := open(t, dir, clock)
			began, wrong := time.Now(), 0
			for range 200 {
				wait(time.Duration(rng.IntN(120)) * time.Second)
				switch rng.IntN(6) {
				case 0:
					b = open(t, dir, clock)
				case 1:
					off -= time.Duration(rng.IntN(100)) * time.Minute
				default:
					if b.Begin("ben") == 0 {
						wrong++
					}
				}
			}
			most, total := free, time.Duration(0)
			for lock := lockTime; total+lock <= time.Since(began); lock = min(maxLock, 2*lock) {
				total += lock
				most++
			}
			if wrong > most {
				t.Fatalf("seed %d: %d wrong tries in %s, at most %d", seed, wrong, time.Since(began), most)
			}
		})
	}
}
