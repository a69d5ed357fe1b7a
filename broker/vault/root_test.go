package vault

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapline/broker/store"
)

// overtaken is the place of a broker that another one overtakes as it makes its key.
type overtaken struct {
	Place
	other func() error
}

func (o overtaken) add(name string, key Secret) error {
	return errors.Join(o.other(), o.Place.add(name, key))
}

// TestAKeyThatOpensNothingIsNotLeftBehind starts two brokers on a new store at once, each with a data folder of its own.
func TestAKeyThatOpensNothingIsNotLeftBehind(t *testing.T) {
	here, there, now := t.TempDir(), t.TempDir(), time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC)
	s, err := store.OpenSQLite(t.TempDir())
	if err == nil {
		err = s.Migrate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // nothing is kept
	unlock := func(p Place) error {
		_, err := Unlock(t.Context(), s, p, now)
		return err
	}
	err = unlock(overtaken{folder{here}, func() error { return unlock(folder{there}) }})
	if !errors.Is(err, ErrOtherMaster) {
		t.Errorf("the one that was overtaken: %v, want %v", err, ErrOtherMaster)
	}
	if _, err := os.Stat(filepath.Join(here, KeyFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its key is left behind: %v", err)
	}
	if err := unlock(folder{there}); err != nil {
		t.Errorf("the other one does not start again: %v", err)
	}
	if err := unlock(folder{here}); err == nil {
		t.Error("the one that was overtaken starts without the key")
	}
}
