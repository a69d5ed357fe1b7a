package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zalando/go-keyring"

	"tapline/broker/store"
)

func now() time.Time { return time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC) }

func migrated(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(dir)
	if err == nil {
		err = s.Migrate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var errCrash = errors.New("crash")

// frail is a place in which the operation of a number is the last: it is not done, or done and reported as failed.
type frail struct {
	Place
	left int
	done bool // whether the last operation was done
}

func (f *frail) step(do func() error) error {
	f.left--
	if f.left < 0 {
		return errCrash
	}
	if f.left == 0 {
		if f.done {
			_ = do()
		}
		return errCrash
	}
	return do()
}

func (f *frail) get(name string) (k Secret, err error) {
	err = f.step(func() error { k, err = f.Place.get(name); return err })
	return k, err
}

func (f *frail) add(name string, key Secret) error {
	return f.step(func() error { return f.Place.add(name, key) })
}

func (f *frail) move(from, to string) error {
	return f.step(func() error { return f.Place.move(from, to) })
}

func (f *frail) remove(name string) error {
	return f.step(func() error { return f.Place.remove(name) })
}

// TestTheMasterKeyIsChangedWhateverStepIsTheLast ends the change at each operation on the key's place, done and not done: the store opens with the
// key in place each time, what was sealed opens, and the change can be gone on with to its end.
func TestTheMasterKeyIsChangedWhateverStepIsTheLast(t *testing.T) {
	keyring.MockInit()
	for _, kind := range []string{"file", "keyring"} {
		for _, done := range []bool{false, true} {
			for steps := 1; ; steps++ {
				dir := t.TempDir()
				var p Place = folder{dir}
				if kind == "keyring" {
					p = ring{dir}
				}
				if ended := changeWithCrash(t, fmt.Sprintf("%s, %d steps, done %v", kind, steps, done), migrated(t, dir), p, steps, done); ended {
					break
				}
			}
		}
	}
}

// changeWithCrash says whether the change ended before the crash.
func changeWithCrash(t *testing.T, row string, s *store.Store, p Place, steps int, done bool) bool {
	t.Helper()
	v, err := Unlock(t.Context(), s, p, now())
	if err != nil {
		t.Fatal(err)
	}
	sealed, digest := v.Seal("name", []byte("canary")), v.Digest("badge", []byte("n"))
	before, err := p.get(KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	good := func(when string) {
		t.Helper()
		v, err := Unlock(t.Context(), s, p, now())
		if err != nil {
			t.Fatalf("%s, %s: %v", row, when, err)
		}
		if got, err := v.Open("name", sealed); err != nil || string(got) != "canary" || !bytes.Equal(v.Digest("badge", []byte("n")), digest) {
			t.Fatalf("%s, %s: %q, %v", row, when, got, err)
		}
	}
	f := &frail{Place: p, left: steps, done: done}
	err = errors.Join(Rotate(t.Context(), s, f, now()))
	good("after rotate")
	if err == nil {
		_, err = Retire(t.Context(), s, f)
		good("after retire")
	}
	ended := err == nil
	if _, err := Look(t.Context(), s, p); err != nil {
		t.Fatalf("%s: look: %v", row, err)
	}
	if state, _ := Look(t.Context(), s, p); !ended && !state.Old {
		if key, _ := p.get(KeyFile); bytes.Equal(key, before) {
			if err := Rotate(t.Context(), s, p, now()); err != nil {
				t.Fatalf("%s: rotate again: %v", row, err)
			}
			good("after rotating again")
		}
	}
	if _, err := Retire(t.Context(), s, p); err != nil {
		t.Fatalf("%s: retire again: %v", row, err)
	}
	good("at the end")
	state, err := Look(t.Context(), s, p)
	after, _ := p.get(KeyFile)
	if err != nil || state != (State{}) || bytes.Equal(before, after) {
		t.Fatalf("%s: at the end: %+v, %v, changed %v", row, state, err, !bytes.Equal(before, after))
	}
	var keys []store.VaultKey
	_ = s.View(t.Context(), func(tx *store.Tx) (err error) { keys, err = tx.VaultKeys(); return err })
	if _, err := unwrapRoot(before, keys); !errors.Is(err, ErrOtherMaster) || len(keys) != 1 {
		t.Fatalf("%s: the former key still opens the store: %v, %d wrappings", row, err, len(keys))
	}
	for _, name := range []string{nextKey, oldKey} {
		if _, err := p.get(name); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%s: %s is left: %v", row, name, err)
		}
	}
	return ended
}

func TestASecondChangeWaitsForTheFirst(t *testing.T) {
	dir := t.TempDir()
	s, p := migrated(t, dir), folder{dir}
	if _, err := Unlock(t.Context(), s, p, now()); err != nil {
		t.Fatal(err)
	}
	if err := Rotate(t.Context(), s, p, now()); err != nil {
		t.Fatal(err)
	}
	if err := Rotate(t.Context(), s, p, now()); err == nil || !strings.Contains(err.Error(), "retire") {
		t.Errorf("a second change: %v, want an error that says what to do", err)
	}
	if state, err := Look(t.Context(), s, p); err != nil || !state.Old || state.Begun {
		t.Errorf("between the two steps: %+v, %v", state, err)
	}
}

func TestAStoreWithoutItsMasterKeyGetsNoNewOne(t *testing.T) {
	dir := t.TempDir()
	s, p := migrated(t, dir), folder{dir}
	if _, err := Unlock(t.Context(), s, p, now()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, KeyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Unlock(t.Context(), s, p, now()); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("without the key: %v", err)
	}
	if err := p.add(KeyFile, newKey()); err != nil {
		t.Fatal(err)
	}
	if _, err := Unlock(t.Context(), s, p, now()); !errors.Is(err, ErrOtherMaster) {
		t.Errorf("with another key: %v", err)
	}
}

// TestWhatAnOlderBrokerSealedOpens begins with a store whose values lie under the master key alone.
func TestWhatAnOlderBrokerSealedOpens(t *testing.T) {
	dir := t.TempDir()
	s, p, master := migrated(t, dir), folder{dir}, newKey()
	if err := p.add(KeyFile, master); err != nil {
		t.Fatal(err)
	}
	old := aead(derive(master, "tapline vault seal v1")).Seal(nil, nil, []byte("x"), []byte("ca-root"))
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.PutSecret("ca-root", old, now()) }); err != nil {
		t.Fatal(err)
	}
	before, err := New(master)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Unlock(t.Context(), s, p, now()); err != nil {
		t.Fatal(err)
	}
	if err := Rotate(t.Context(), s, p, now()); err != nil {
		t.Fatal(err)
	}
	v, err := Unlock(t.Context(), s, p, now())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.Open("ca-root", old); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if !bytes.Equal(v.Digest("badge", []byte("n")), before.Digest("badge", []byte("n"))) {
		t.Error("badges are not found any more")
	}
}

func TestACredentialOfSystemdIsUsedAndChangedByAFile(t *testing.T) {
	given, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(given, KeyFile), newKey(), 0o440); err != nil { // systemd's own rights
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", given)
	p, err := FindPlace(Auto, dir, "plant")
	if err != nil || p != (credential{given}) {
		t.Fatalf("%v, %v", p, err)
	}
	s := migrated(t, dir)
	v, err := Unlock(t.Context(), s, p, now())
	if err != nil {
		t.Fatal(err)
	}
	sealed := v.Seal("name", []byte("x"))
	if err := Rotate(t.Context(), s, p, now()); !errors.Is(err, errGiven) {
		t.Errorf("changed in place: %v", err)
	}
	file := filepath.Join(dir, "fresh.key")
	if err := Allow(t.Context(), s, p, file, now()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(given, KeyFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file, filepath.Join(given, KeyFile)); err != nil {
		t.Fatal(err)
	}
	if v, err = Unlock(t.Context(), s, p, now()); err != nil {
		t.Fatal(err)
	}
	if n, err := Retire(t.Context(), s, p); err != nil || n != 1 {
		t.Errorf("retired %d, %v", n, err)
	}
	if got, err := v.Open("name", sealed); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}
