package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"tapline/agent/statefile"
)

const secretSuffix = ".secret"

// files is a folder of files that only their owner can read.
type files struct {
	dir   string
	disk  statefile.Disk
	seal  *sealer
	where string

	mu sync.Mutex // one replacement at a time
}

func openFiles(cfg Config, why string, tightened bool) (Store, error) {
	seal, err := credentialSealer(cfg.Credential)
	if err != nil {
		return nil, err
	}
	f := &files{dir: cfg.Dir, disk: cfg.Disk, seal: seal}
	for _, name := range f.names() {
		loose, err := statefile.Tighten(f.path(name), 0o600)
		if err != nil {
			return nil, err
		}
		tightened = tightened || loose
		if err := f.reseal(name); err != nil {
			return nil, err
		}
	}
	f.where = describe(cfg, seal != nil, why, tightened)
	return f, nil
}

func describe(cfg Config, sealed bool, why string, tightened bool) string {
	where := "owner-only files in " + cfg.Dir
	if os.Geteuid() == 0 {
		where = "root-only files in " + cfg.Dir
	}
	if sealed {
		where += ", sealed under the credential " + cfg.Credential
	}
	if why != "" {
		where += " (" + why + ")"
	}
	if tightened {
		where += "; WARNING: others could read them until this start"
	}
	return where
}

// names lists the secrets.
func (f *files) names() []string {
	entries, _ := os.ReadDir(f.dir)
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), secretSuffix); ok && validName.MatchString(name) {
			names = append(names, name)
		}
	}
	return names
}

// reseal seals a secret that lies there in clear, once there is a credential to seal it with.
func (f *files) reseal(name string) error {
	if f.seal == nil {
		return nil
	}
	data, err := os.ReadFile(f.path(name))
	if err != nil {
		return err
	}
	secret, clear := bytes.CutPrefix(data, []byte(clearHead))
	if !clear {
		return nil
	}
	return f.Put(name, secret)
}

func (f *files) path(name string) string { return filepath.Join(f.dir, name+secretSuffix) }

// Get reads a secret.
func (f *files) Get(name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("secret %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", name, err)
	}
	secret, err := f.seal.unseal(name, data)
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", name, err)
	}
	return secret, nil
}

// Put replaces a secret's file.
func (f *files) Put(name string, secret []byte) error {
	if err := checkSecret(name, secret); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return statefile.Write(f.disk, f.path(name), f.seal.seal(name, secret))
}

// Delete writes over a secret's file, then removes it. Flash memory and copying file systems may keep the old blocks all the same.
func (f *files) Delete(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := erase(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("erase secret %s: %w", name, err)
	}
	return statefile.Remove(f.disk, f.path(name))
}

// erase fills a file with zeros in its place.
func erase(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		_, err = file.WriteAt(make([]byte, info.Size()), 0)
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// Where names the folder.
func (f *files) Where() string { return f.where }
