package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"tapline/agent/statefile"
	"tapline/agent/statefile/statefiletest"
)

// contract is what every store keeps, whatever it is made of. open opens the same store again.
func contract(t *testing.T, open func() (Store, error)) {
	t.Helper()
	store, err := open()
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("\x00\xffwhatever\n")
	if _, err := store.Get("tls-a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get before put: %v, want ErrNotFound", err)
	}
	if err := store.Delete("tls-a"); err != nil {
		t.Errorf("delete of nothing: %v", err)
	}
	for _, want := range [][]byte{secret, []byte("another"), bytes.Repeat([]byte{7}, MaxSecret)} {
		if err := store.Put("tls-a", want); err != nil {
			t.Fatal(err)
		}
		if err := store.Put("tls-b", secret); err != nil {
			t.Fatal(err)
		}
		if store, err = open(); err != nil {
			t.Fatal(err)
		}
		if got, err := store.Get("tls-a"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, %v, want %d", len(got), err, len(want))
		}
	}
	if err := store.Delete("tls-a"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get("tls-a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get after delete: %v, want ErrNotFound", err)
	}
	if got, err := store.Get("tls-b"); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("the other secret: %d bytes, %v", len(got), err)
	}
	refusals(t, store)
	together(t, store)
	if err := store.Delete("tls-b"); err != nil {
		t.Fatal(err)
	}
}

func refusals(t *testing.T, store Store) {
	t.Helper()
	for _, name := range []string{"", "../escape", "a/b", "Upper", "-dash", strings.Repeat("a", 65)} {
		if err := store.Put(name, []byte("x")); err == nil {
			t.Errorf("name %q was taken", name)
		}
		if _, err := store.Get(name); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("get %q: %v", name, err)
		}
	}
	for _, n := range []int{0, MaxSecret + 1} {
		if err := store.Put("size", make([]byte, n)); err == nil {
			t.Errorf("a secret of %d bytes was taken", n)
		}
	}
}

// together has many goroutines replace one secret; what is found is one of theirs.
func together(t *testing.T, store Store) {
	t.Helper()
	var group errgroup.Group
	for i := range 8 {
		group.Go(func() error { return store.Put("shared", bytes.Repeat([]byte{byte('a' + i)}, 100)) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	got, err := store.Get("shared")
	if err != nil || len(got) != 100 || len(bytes.Trim(got, string(got[:1]))) != 0 {
		t.Errorf("got a mixture of %d bytes, %v", len(got), err)
	}
	if err := store.Delete("shared"); err != nil {
		t.Fatal(err)
	}
}

func TestFilesKeepTheContract(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	contract(t, func() (Store, error) { return Open(Config{Kind: Files, Dir: dir}) })
}

func TestSealedFilesKeepTheContract(t *testing.T) {
	credential(t, "a credential of the service manager")
	dir := filepath.Join(t.TempDir(), "keys")
	contract(t, func() (Store, error) { return Open(Config{Kind: Files, Dir: dir}) })
}

// credential gives this process a systemd credential; empty takes it away.
func credential(t *testing.T, secret string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if secret == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, "tapline-keystore"), []byte(secret), 0o400); err != nil {
		t.Fatal(err)
	}
}

func mustOpen(t *testing.T, cfg Config) Store {
	t.Helper()
	store, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestACredentialSealsWhatLayInClearAndIsNeededFromThenOn(t *testing.T) {
	cfg := Config{Kind: Files, Dir: filepath.Join(t.TempDir(), "keys")}
	secret := []byte("canary-secret")
	if err := mustOpen(t, cfg).Put("identity-a", secret); err != nil {
		t.Fatal(err)
	}
	credential(t, "a credential of the service manager")
	store := mustOpen(t, cfg)
	if got, err := store.Get("identity-a"); err != nil || !bytes.Equal(got, secret) {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
	if !strings.Contains(store.Where(), "sealed") {
		t.Errorf("where: %s", store.Where())
	}
	path := filepath.Join(cfg.Dir, "identity-a.secret")
	if raw, _ := os.ReadFile(path); bytes.Contains(raw, secret) {
		t.Error("the file still holds the secret in clear")
	}
	for name, other := range map[string]string{"no credential": "", "another credential": "not the same credential"} {
		credential(t, other)
		if _, err := mustOpen(t, cfg).Get("identity-a"); err == nil || errors.Is(err, ErrNotFound) || strings.Contains(fmt.Sprint(err), string(secret)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	credential(t, "a credential of the service manager")
	if err := os.Rename(path, filepath.Join(cfg.Dir, "identity-b.secret")); err != nil {
		t.Fatal(err)
	}
	if _, err := mustOpen(t, cfg).Get("identity-b"); err == nil {
		t.Error("a file opened under another secret's name")
	}
}

func TestAShortCredentialIsRefused(t *testing.T) {
	credential(t, "short")
	if _, err := Open(Config{Kind: Files, Dir: filepath.Join(t.TempDir(), "keys")}); err == nil {
		t.Error("a credential of 5 bytes was taken for a key")
	}
}

func TestOnlyTheOwnerCanReadTheFiles(t *testing.T) {
	if os.PathSeparator != '/' {
		t.Skip("needs: file modes")
	}
	cfg := Config{Kind: Files, Dir: filepath.Join(t.TempDir(), "keys")}
	store := mustOpen(t, cfg)
	if err := store.Put("tls-a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.Dir, "tls-a.secret")
	for p, want := range map[string]os.FileMode{cfg.Dir: 0o700, path: 0o600} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, want %v", p, info.Mode().Perm(), want)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if where := mustOpen(t, cfg).Where(); !strings.Contains(where, "WARNING") {
		t.Errorf("a file that all could read is not told: %s", where)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode().Perm(), err)
	}
}

func TestASecretSurvivesACrashAtEveryStep(t *testing.T) {
	statefiletest.EachCrash(t, func(t *testing.T, disk *statefiletest.Disk, dir string) {
		cfg := Config{Kind: Files, Dir: filepath.Join(dir, "keys")}
		if err := mustOpen(t, cfg).Put("tls-a", []byte("old")); err != nil {
			t.Fatal(err)
		}
		crash := cfg
		crash.Disk = disk
		putErr := mustOpen(t, crash).Put("tls-a", []byte("new"))
		got, err := mustOpen(t, cfg).Get("tls-a")
		if err != nil || (string(got) != "new" && (putErr == nil || string(got) != "old")) {
			t.Errorf("after %v: got %q, %v", putErr, got, err)
		}
	})
}

func TestADestroyedSecretIsGoneEvenIfItsFileIsLeft(t *testing.T) {
	cfg := Config{Kind: Files, Dir: filepath.Join(t.TempDir(), "keys")}
	if err := mustOpen(t, cfg).Put("record-epoch-1", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	cfg.Disk = &statefiletest.Disk{At: 1} // the removal is lost
	if err := mustOpen(t, cfg).Delete("record-epoch-1"); !errors.Is(err, statefiletest.ErrCrash) {
		t.Fatal(err)
	}
	cfg.Disk = statefile.OS()
	if _, err := mustOpen(t, cfg).Get("record-epoch-1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestTheKindThatWasChosenFirstStays(t *testing.T) {
	cfg := Config{Kind: Files, Dir: filepath.Join(t.TempDir(), "keys")}
	mustOpen(t, cfg)
	cfg.Kind = Auto
	if where := mustOpen(t, cfg).Where(); !strings.Contains(where, cfg.Dir) {
		t.Errorf("auto went elsewhere: %s", where)
	}
	cfg.Kind = Keyring
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), "other store") {
		t.Errorf("got %v", err)
	}
}

func TestKindsAsAConfigurationSpellsThem(t *testing.T) {
	for s, want := range map[string]Kind{"": Auto, "auto": Auto, "keyring": Keyring, "file": Files} {
		if got, err := ParseKind(s); err != nil || got != want {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
	}
	if _, err := ParseKind("tpm"); err == nil {
		t.Error("an unknown kind was taken")
	}
}
