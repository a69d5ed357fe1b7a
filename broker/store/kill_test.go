package store_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tapline/broker/store"
)

// childDir, set in the environment, makes the test binary a writer that others kill.
const childDir = "STORE_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	m.Run()
}

// child updates the store from several goroutines until it is killed. It prints "ack NUMBER" after each update that returned nil: the
// update has counted to NUMBER and kept a secret of that name.
func child(dir string) {
	s, err := store.OpenSQLite(dir)
	if err == nil {
		err = s.Migrate(context.Background())
	}
	if err != nil {
		fmt.Println("open", err)
		return
	}
	var writers sync.WaitGroup
	for range 6 {
		writers.Go(func() {
			for {
				var n uint64
				err := s.Update(context.Background(), func(tx *store.Tx) (err error) {
					if n, err = tx.Next("n", 1); err != nil {
						return err
					}
					return tx.PutSecret(fmt.Sprint(n), []byte("x"), time.Unix(1, 0))
				})
				if err != nil {
					fmt.Println("failed", err)
					return
				}
				fmt.Println("ack", n)
			}
		})
	}
	writers.Wait()
}

// TestKill kills a writer ten times in the middle of its work; each time a new one goes on with the same store.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acked := map[uint64]bool{}
	kills := 10
	if testing.Short() {
		kills = 3
	}
	for range kills {
		before := len(acked)
		enough := before + 1 + rand.IntN(80)
		killed(t, dir, func(n uint64) bool {
			if acked[n] {
				t.Errorf("%d was acknowledged twice", n)
			}
			acked[n] = true
			return len(acked) >= enough
		})
		if len(acked) < enough {
			t.Fatalf("a child acknowledged %d updates, want %d", len(acked)-before, enough-before)
		}
		holds(t, dir, acked)
	}
	t.Logf("%d kills, %d updates acknowledged, none lost", kills, len(acked))
}

// killed runs a child and kills it as soon as heard says that this is enough. What the child has printed until then counts too.
func killed(t *testing.T, dir string, heard func(n uint64) bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait() //nolint:errcheck // it was killed
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return // a last line without its end is not counted
		}
		n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(line), "ack "), 10, 64)
		if err != nil {
			t.Errorf("the child said %q", line)
		}
		if err != nil || heard(n) {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// holds checks that every acknowledged update is there whole.
func holds(t *testing.T, dir string, acked map[uint64]bool) {
	t.Helper()
	s := open(t, dir)
	defer s.Close() //nolint:errcheck // a read
	err := s.View(t.Context(), func(tx *store.Tx) error {
		last, err := tx.Count("n")
		if err != nil {
			return err
		}
		for n := range acked {
			if _, err := tx.Secret(fmt.Sprint(n)); err != nil || n > last {
				t.Errorf("update %d was acknowledged and is lost (the count is %d): %v", n, last, err)
			}
		}
		for n := range last { // an update is there whole or not at all
			if _, err := tx.Secret(fmt.Sprint(n + 1)); err != nil {
				t.Errorf("update %d is there by half: %v", n+1, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
