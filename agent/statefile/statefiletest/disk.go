// Package statefiletest has a disk that dies at a chosen step, for tests of whatever keeps state in files.
//
// Tests call it to build a fault table: run once to count the steps, then once for each step and each way to die, reopen, and look. It
// works on the real disk below a test's own folder and is never linked into a product.
package statefiletest

import (
	"errors"
	"testing"

	"tapline/agent/statefile"
)

// ErrCrash is what every step returns from the crash on.
var ErrCrash = errors.New("the disk died here")

// Disk is the machine's disk until step At, counted from 1; 0 never dies. One goroutine uses it.
type Disk struct {
	At int
	// Kept makes the fatal step happen although it is reported as failed; otherwise it is lost.
	Kept bool
	// Steps is how many steps were taken.
	Steps int
}

// Step counts one step of anything that is part of the fault table, such as a call over the network.
func (d *Disk) Step(do func() error) error {
	d.Steps++
	switch {
	case d.At == 0 || d.Steps < d.At:
		return do()
	case d.Steps == d.At && d.Kept:
		return errors.Join(ErrCrash, do())
	}
	return ErrCrash
}

// CreateTemp is a step.
func (d *Disk) CreateTemp(dir, pattern string) (f statefile.File, err error) {
	err = d.Step(func() error {
		f, err = statefile.OS().CreateTemp(dir, pattern)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &file{File: f, disk: d}, nil
}

// Rename is a step.
func (d *Disk) Rename(from, to string) error {
	return d.Step(func() error { return statefile.OS().Rename(from, to) })
}

// Remove is a step.
func (d *Disk) Remove(path string) error {
	return d.Step(func() error { return statefile.OS().Remove(path) })
}

// SyncDir is a step.
func (d *Disk) SyncDir(dir string) error {
	return d.Step(func() error { return statefile.OS().SyncDir(dir) })
}

type file struct {
	statefile.File
	disk *Disk
}

// Write is a step; a lost one leaves half of the bytes.
func (f *file) Write(b []byte) (int, error) {
	err := f.disk.Step(func() error {
		_, err := f.File.Write(b)
		return err
	})
	if err == nil {
		return len(b), nil
	}
	if !f.disk.Kept {
		_, _ = f.File.Write(b[:len(b)/2])
	}
	return 0, err
}

func (f *file) Sync() error { return f.disk.Step(f.File.Sync) }
func (f *file) Close() error {
	return errors.Join(f.disk.Step(func() error { return nil }), f.File.Close())
}

// EachCrash runs scenario once without a fault, then once for each of its steps and each way to die. Each run has a folder of its own.
func EachCrash(t *testing.T, scenario func(t *testing.T, disk *Disk, dir string)) {
	t.Helper()
	whole := &Disk{}
	t.Run("no crash", func(t *testing.T) { scenario(t, whole, t.TempDir()) })
	if whole.Steps == 0 {
		t.Fatal("the scenario took no step")
	}
	for at := 1; at <= whole.Steps; at++ {
		for _, kept := range []bool{false, true} {
			t.Run(name(at, kept), func(t *testing.T) {
				scenario(t, &Disk{At: at, Kept: kept}, t.TempDir())
			})
		}
	}
}
