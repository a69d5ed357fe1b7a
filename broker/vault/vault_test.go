package vault_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tapline/broker/store"
	"tapline/broker/vault"
)

func begin() time.Time { return time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC) }

// database opens the store in a folder.
func database(t testing.TB, dir string) *store.Store {
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

func place(t testing.TB, dir string) vault.Place {
	t.Helper()
	p, err := vault.FindPlace(vault.InFile, dir, "plant")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// open is a broker's start on a folder.
func open(t testing.TB, dir string) *vault.Vault {
	t.Helper()
	v, err := vault.Unlock(t.Context(), database(t, dir), place(t, dir), begin())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWhatWasSealedOpensAgain(t *testing.T) {
	dir := t.TempDir()
	for _, secret := range []string{"", "a PIN of 4711", "a key that is longer than one block of the cipher"} {
		sealed := open(t, dir).Seal("name", []byte(secret))
		if secret != "" && bytes.Contains(sealed, []byte(secret)) {
			t.Errorf("%q is there in clear", secret)
		}
		got, err := open(t, dir).Open("name", sealed) // as after a restart
		if err != nil || string(got) != secret {
			t.Errorf("%q came back as %q, %v", secret, got, err)
		}
	}
	v := open(t, dir)
	if bytes.Equal(v.Seal("name", []byte("x")), v.Seal("name", []byte("x"))) {
		t.Error("a secret that is sealed twice can be recognised")
	}
}

func TestWhatWasNotSealedHereDoesNotOpen(t *testing.T) {
	v := open(t, t.TempDir())
	sealed := v.Seal("ca-root", []byte("secret"))
	refuse := func(what string, by *vault.Vault, name string, sealed []byte) {
		t.Helper()
		if got, err := by.Open(name, sealed); !errors.Is(err, vault.ErrSealed) || got != nil {
			t.Errorf("%s: got %q, %v, want ErrSealed", what, got, err)
		}
	}
	refuse("another name", v, "ca-issuing", sealed)
	refuse("another master key", open(t, t.TempDir()), "ca-root", sealed)
	refuse("nothing", v, "ca-root", nil)
	for i := range sealed {
		for bit := range 8 {
			if i > 8 && bit != i%8 {
				continue
			}
			changed := bytes.Clone(sealed)
			changed[i] ^= 1 << bit
			refuse("a flipped bit", v, "ca-root", changed)
		}
		refuse("a piece", v, "ca-root", sealed[:i])
	}
}

func TestDigestsFindWithinAPurposeOnly(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir)
	if !bytes.Equal(v.Digest("badge", []byte("n")), open(t, dir).Digest("badge", []byte("n"))) {
		t.Error("after a restart a badge is not found")
	}
	for what, other := range map[string][]byte{
		"purpose": v.Digest("token", []byte("n")), "number": v.Digest("badge", []byte("m")), "key": open(t, t.TempDir()).Digest("badge", []byte("n")),
		"border": v.Digest("badge\x00n", nil),
	} {
		if bytes.Equal(v.Digest("badge", []byte("n")), other) {
			t.Errorf("another %s gives the same digest", what)
		}
	}
}

func TestOfManyFirstStartsOneMakesTheKey(t *testing.T) {
	dir := t.TempDir()
	s := database(t, dir)
	var all sync.WaitGroup
	sealed := make([][]byte, 16)
	for i := range sealed {
		all.Go(func() {
			v, err := vault.Unlock(t.Context(), s, place(t, dir), begin())
			if err != nil {
				t.Error(err)
				return
			}
			sealed[i] = v.Seal("name", []byte("x"))
		})
	}
	all.Wait()
	v := open(t, dir)
	for _, s := range sealed {
		if _, err := v.Open("name", s); err != nil {
			t.Error(err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "master*")); err != nil || len(left) != 1 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

func TestAMasterKeyThatIsNoneIsRefused(t *testing.T) {
	for says, key := range map[string][]byte{"empty": nil, "half": make([]byte, 16), "with a line end": make([]byte, 33)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, vault.KeyFile), key, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := vault.Unlock(t.Context(), database(t, dir), place(t, dir), begin()); err == nil {
			t.Errorf("%s: it opened", says)
		}
	}
}
