package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tapline/proto/checkpoint"
)

// keptForks bounds how many contradictions of one log and kind are kept: the first ones tell.
const keptForks = 20

// state is the folder in which the newest checkpoint of each log lies.
type state struct{ dir string }

// path is the file of a log: an origin may hold what no file name may.
func (s state) path(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return filepath.Join(s.dir, hex.EncodeToString(sum[:8])+".checkpoint")
}

// last reads the newest checkpoint that was cosigned; that of the empty log if there is none.
func (s state) last(origin string) (checkpoint.Checkpoint, error) {
	b, err := os.ReadFile(s.path(origin))
	if errors.Is(err, fs.ErrNotExist) {
		return checkpoint.Checkpoint{Origin: origin, Root: checkpoint.EmptyRoot()}, nil
	}
	if err != nil {
		return checkpoint.Checkpoint{}, fmt.Errorf("read what was seen: %w", err)
	}
	c, err := checkpoint.Read(b)
	if err == nil && c.Origin != origin {
		err = fmt.Errorf("it is of %s", c.Origin)
	}
	if err != nil {
		return checkpoint.Checkpoint{}, fmt.Errorf("what was seen of %s, %s: %w", origin, s.path(origin), err)
	}
	return c, nil
}

// keep makes a checkpoint the newest, durably: create, write, fsync, rename, fsync of the folder.
func (s state) keep(origin string, signed []byte) error {
	f, err := os.CreateTemp(s.dir, "new-*")
	if err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	_, err = f.Write(signed)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), s.path(origin))
	}
	if err == nil {
		err = syncFolder(s.dir)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // gone already when the rename was done
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	return nil
}

// What a kept request shows: two roots for one size prove a fork. One that is only not shown to continue proves nothing by itself: the way to it is not
// signed, and anybody who has a checkpoint can send it with a wrong one. So those have room of their own, and never take that of proofs.
const (
	provenFork = ".fork-"
	openFork   = ".unproven-"
)

// contradicts keeps a request that contradicts what was seen; of each kind the first ones.
func (s state) contradicts(origin, kind string, request []byte, now time.Time) error {
	kept, err := filepath.Glob(s.path(origin) + kind + "*")
	if err != nil || len(kept) >= keptForks {
		return err
	}
	return os.WriteFile(s.path(origin)+kind+now.UTC().Format("20060102T150405.000000000"), request, 0o600)
}
