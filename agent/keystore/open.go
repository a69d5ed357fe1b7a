package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tapline/agent/statefile"
)

// Kind is a kind of store.
type Kind string

// The kinds. Auto, the zero value, takes the keyring where a service can rely on one and files elsewhere.
const (
	Auto    Kind = ""
	Keyring Kind = "keyring"
	Files   Kind = "file"
)

// ParseKind reads a kind as a configuration spells it; empty and "auto" are Auto.
func ParseKind(s string) (Kind, error) {
	switch k := Kind(s); k {
	case "auto", Auto:
		return Auto, nil
	case Keyring, Files:
		return k, nil
	}
	return Auto, fmt.Errorf("keystore %q: want auto, keyring or file", s)
}

// Config says which store. Only Dir has no default.
type Config struct {
	// Kind of the store.
	Kind Kind
	// Dir holds the files, and the note of which kind was chosen first. It belongs to the store alone.
	Dir string
	// Service names our entries in a keyring; "tapline-agent" if empty.
	Service string
	// Credential is the name of the systemd credential that seals the files; "tapline-keystore" if empty.
	Credential string
	// Disk is for tests; nil is the machine's.
	Disk statefile.Disk
}

const (
	defaultService    = "tapline-agent"
	defaultCredential = "tapline-keystore"
	kindFile          = "kind"
)

// Open opens the store and writes down its kind. The error says what to do about it.
func Open(cfg Config) (Store, error) {
	if cfg.Dir == "" {
		return nil, errors.New("open keystore: no folder given")
	}
	if cfg.Service == "" {
		cfg.Service = defaultService
	}
	if cfg.Credential == "" {
		cfg.Credential = defaultCredential
	}
	if cfg.Disk == nil {
		cfg.Disk = statefile.OS()
	}
	store, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("open keystore %s: %w", cfg.Dir, err)
	}
	return store, nil
}

func open(cfg Config) (Store, error) {
	tightened, err := statefile.Folder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := statefile.Sweep(cfg.Dir); err != nil {
		return nil, err
	}
	kind, why, err := choose(cfg)
	if err != nil {
		return nil, err
	}
	var store Store
	if kind == Keyring {
		store, err = openKeyring(cfg.Service)
	} else {
		store, err = openFiles(cfg, why, tightened)
	}
	if err != nil {
		return nil, err
	}
	return store, remember(cfg, kind)
}

// choose takes the kind that was chosen first, else what is asked for, else what fits this process.
func choose(cfg Config) (kind Kind, why string, err error) {
	first, err := recall(cfg)
	if err != nil {
		return Auto, "", err
	}
	switch {
	case first != Auto && cfg.Kind != Auto && cfg.Kind != first:
		return Auto, "", fmt.Errorf("the station's keys are in the other store: it was set up with %q, the configuration says %q", first, cfg.Kind)
	case first != Auto:
		return first, "", nil
	case cfg.Kind != Auto:
		return cfg.Kind, "", nil
	}
	if why := noKeyring(); why != "" {
		return Files, why, nil
	}
	if _, err := openKeyring(cfg.Service); err != nil {
		return Files, "the keyring does not answer", nil
	}
	return Keyring, "", nil
}

func recall(cfg Config) (Kind, error) {
	b, err := os.ReadFile(filepath.Join(cfg.Dir, kindFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Auto, nil
	}
	if err != nil {
		return Auto, err
	}
	return ParseKind(strings.TrimSpace(string(b)))
}

func remember(cfg Config, kind Kind) error {
	if first, err := recall(cfg); err != nil || first == kind {
		return err
	}
	return statefile.Write(cfg.Disk, filepath.Join(cfg.Dir, kindFile), []byte(string(kind)+"\n"))
}
