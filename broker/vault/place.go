package vault

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/zalando/go-keyring"
)

// KeyFile is the master key's name in its place. The one that shall replace it has the name with ".next", the one that it replaced with ".old".
const KeyFile = "master.key"

const (
	nextKey = KeyFile + ".next"
	oldKey  = KeyFile + ".old"
)

// Place is where the master key lies.
type Place interface {
	// String names the place for a person.
	String() string
	// get reads a key; fs.ErrNotExist if there is none of that name.
	get(name string) (Secret, error)
	// add writes a key that is not there yet, durably; of several at once one wins, and the others leave it.
	add(name string, key Secret) error
	// move puts a key in the place of another, durably; the one that was there is gone.
	move(from, to string) error
	// remove takes a key away, durably; one that is not there is no error.
	remove(name string) error
}

// Kinds of places, as a configuration spells them.
const (
	Auto       = "auto"       // the credential that systemd hands over if there is one, else the file
	InFile     = "file"       // master.key in the data folder
	Credential = "credential" // master.key in $CREDENTIALS_DIRECTORY
	Keyring    = "keyring"    // an entry of the operating system's keyring
)

// FindPlace finds where the master key lies. The keyring's entries are told apart by site.
func FindPlace(kind, dir, site string) (Place, error) {
	given := os.Getenv("CREDENTIALS_DIRECTORY")
	switch kind {
	case Auto, "":
		if given != "" {
			if _, err := os.Stat(filepath.Join(given, KeyFile)); err == nil {
				return credential{given}, nil
			}
		}
		return folder{dir}, nil
	case InFile:
		return folder{dir}, nil
	case Credential:
		if given == "" {
			return nil, errors.New("master key: systemd has handed over no credentials: set LoadCredentialEncrypted=master.key in the unit")
		}
		return credential{given}, nil
	case Keyring:
		if runtime.GOOS != "windows" && os.Getenv("DBUS_SESSION_BUS_ADDRESS") == "" {
			return nil, errors.New("master key: there is no session bus, so no keyring: use file or credential")
		}
		return ring{"tapline-broker " + site}, nil
	}
	return nil, fmt.Errorf("master key: %q is none of auto, file, credential, keyring", kind)
}

// newKey makes a key.
func newKey() Secret {
	key := make(Secret, KeySize)
	_, _ = rand.Read(key)
	return key
}

// folder is a folder with a file for each key.
type folder struct{ dir string }

func (f folder) String() string { return "file " + filepath.Join(f.dir, KeyFile) }

func (f folder) get(name string) (Secret, error) {
	path := filepath.Join(f.dir, name)
	key, err := os.ReadFile(path)
	if err == nil {
		err = checkRights(path)
	}
	if err != nil {
		return nil, fmt.Errorf("master key %s: %w", path, err)
	}
	return checkSize(path, key)
}

func checkSize(where string, key Secret) (Secret, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("master key %s: it has %d bytes, want %d", where, len(key), KeySize)
	}
	return key, nil
}

// add writes a key beside its place and links it there, so that of two first starts one wins and a crash leaves no half a key:
// open O_EXCL, write, fsync, link, unlink, fsync of the folder.
func (f folder) add(name string, key Secret) error {
	tmp, err := os.CreateTemp(f.dir, name+".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // the link is what counts
	_, err = tmp.Write(key)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), filepath.Join(f.dir, name)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(f.dir)
}

func (f folder) move(from, to string) error {
	if err := os.Rename(filepath.Join(f.dir, from), filepath.Join(f.dir, to)); err != nil {
		return err
	}
	return syncFolder(f.dir)
}

func (f folder) remove(name string) error {
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncFolder(f.dir)
}

// credential is a key that systemd has decrypted for this service alone. It cannot be changed from here.
type credential struct{ dir string }

func (c credential) String() string { return "credential of systemd" }

func (c credential) get(name string) (Secret, error) {
	path := filepath.Join(c.dir, name)
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("master key %s: %w", path, err)
	}
	return checkSize(path, key)
}

// errGiven says what to do with a key that is not ours to change.
var errGiven = errors.New("systemd hands the master key over, so it cannot be changed from here: name a file for the new one (--new FILE)")

func (credential) add(string, Secret) error  { return errGiven }
func (credential) move(string, string) error { return errGiven }
func (credential) remove(name string) error {
	if name == KeyFile {
		return errGiven
	}
	return nil // it never held another
}

// ring is the keyring of the account that the broker runs under.
type ring struct{ service string }

func (r ring) String() string { return "keyring, entries of " + r.service }

func (r ring) get(name string) (Secret, error) {
	text, err := keyring.Get(r.service, name)
	if errors.Is(err, keyring.ErrNotFound) {
		return nil, fmt.Errorf("master key: keyring entry %s: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("master key: keyring entry %s: %w", name, err)
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil { // the error would show a part of it
		return nil, fmt.Errorf("master key: keyring entry %s is not one of ours", name)
	}
	return checkSize("in keyring entry "+name, key)
}

func (r ring) add(name string, key Secret) error {
	if _, err := r.get(name); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return keyring.Set(r.service, name, base64.StdEncoding.EncodeToString(key))
}

func (r ring) move(from, to string) error {
	key, err := r.get(from)
	if err != nil {
		return err
	}
	defer key.Wipe()
	if err := keyring.Set(r.service, to, base64.StdEncoding.EncodeToString(key)); err != nil {
		return err
	}
	return r.remove(from)
}

func (r ring) remove(name string) error {
	if err := keyring.Delete(r.service, name); err != nil && !errors.Is(err, keyring.ErrNotFound) {
		return err
	}
	return nil
}
