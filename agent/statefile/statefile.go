// Package statefile replaces small files so that a crash leaves the old content or the new one, never a mixture and never nothing.
//
// The agent's keystore and identity keep their state in such files, and any part of the agent may that has a few kilobytes which must survive
// the plug being pulled. Only the owner may read them. Records do not go here: a journal grows at its end and is package ledger's.
//
// The package never retries and never logs: an error means that the file may hold either content, and the caller, who
// must be ready for both after a crash anyway, says which it wants by writing again.
package statefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tempMark is in the name of every file that was not renamed yet.
const tempMark = ".new-"

// Disk is the few system calls that a replacement is made of, so that a test can fail each of them.
type Disk interface {
	// CreateTemp makes a new file, mode 0600, in dir.
	CreateTemp(dir, pattern string) (File, error)
	// Rename puts a file in the place of another, in one step.
	Rename(from, to string) error
	// Remove takes a file away.
	Remove(path string) error
	// SyncDir returns when renames and removals in dir are durable.
	SyncDir(dir string) error
}

// File is a file being written.
type File interface {
	Name() string
	Write(b []byte) (int, error)
	Sync() error
	Close() error
}

// OS is the machine's own disk.
func OS() Disk { return osDisk{} }

type osDisk struct{}

func (osDisk) CreateTemp(dir, pattern string) (File, error) { return os.CreateTemp(dir, pattern) }
func (osDisk) Rename(from, to string) error                 { return os.Rename(from, to) }
func (osDisk) Remove(path string) error                     { return os.Remove(path) }
func (osDisk) SyncDir(dir string) error                     { return syncDir(dir) }

// Write replaces the file at path. On nil the new content is durable.
//
// Its system calls: openat(O_CREAT|O_EXCL, 0600) beside path, write, fsync, close, renameat, fsync of the folder.
func Write(d Disk, path string, data []byte) error {
	if err := replace(d, path, data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func replace(d Disk, path string, data []byte) error {
	dir, name := filepath.Split(path)
	f, err := d.CreateTemp(dir, name+tempMark+"*")
	if err != nil {
		return err
	}
	if err := fill(f, data); err != nil {
		return errors.Join(err, ignoreMissing(d.Remove(f.Name())))
	}
	if err := d.Rename(f.Name(), path); err != nil {
		return errors.Join(err, ignoreMissing(d.Remove(f.Name())))
	}
	return d.SyncDir(dir)
}

func fill(f File, data []byte) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Remove takes the file at path away, durably. A file that is not there is no error.
func Remove(d Disk, path string) error {
	if err := ignoreMissing(d.Remove(path)); err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	if err := d.SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// sweepAge is how old a file must be to have been left by a crash, rather than being written by another process now.
const sweepAge = time.Minute

// Sweep removes what a crash left half written in dir.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sweep %s: %w", dir, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || time.Since(info.ModTime()) < sweepAge {
			continue
		}
		if strings.Contains(e.Name(), tempMark) {
			if err := ignoreMissing(os.Remove(filepath.Join(dir, e.Name()))); err != nil {
				return fmt.Errorf("sweep %s: %w", dir, err)
			}
		}
	}
	return nil
}
