package ledger

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// FS is all that a ledger asks of a disk. Names are paths as the os package takes them. Errors are the operating system's, so that
// errors.Is finds fs.ErrNotExist and syscall.ENOSPC in them. Package ledgertest has one that crashes on demand.
type FS interface {
	MkdirAll(dir string, perm fs.FileMode) error
	Stat(name string) (fs.FileInfo, error)
	ReadDir(dir string) ([]fs.DirEntry, error)
	// OpenFile takes the flags of os.OpenFile.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Rename replaces newname in one step; durable after SyncDir.
	Rename(oldname, newname string) error
	// Remove is durable after SyncDir.
	Remove(name string) error
	// SyncDir returns once names created, renamed and removed in dir are durable.
	SyncDir(dir string) error
	// Free returns the bytes that may still be allocated, errors.ErrUnsupported where that can't be asked.
	Free(dir string) (int64, error)
	// Lock takes the exclusive lock of the file, which it creates, until the result is closed or the process ends; ErrLocked if
	// another holds it.
	Lock(name string) (io.Closer, error)
}

// File is an open file of an FS.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync returns once bytes and metadata are durable.
	Sync() error
	// Datasync returns once the bytes written are durable; it may leave out times.
	Datasync() error
	Truncate(size int64) error
	// Allocate makes the file size bytes long and takes the space for it if the system can do that in one step. The caller writes
	// zeros all over afterwards, so it may also do nothing.
	Allocate(size int64) error
	Size() (int64, error)
}

// OS returns the operating system's file system, the default of Options.FS. It is there to be wrapped.
func OS() FS { return osFS{} }

type osFS struct{}

type osFile struct{ *os.File }

func (osFS) MkdirAll(dir string, perm fs.FileMode) error { return os.MkdirAll(dir, perm) }
func (osFS) Stat(name string) (fs.FileInfo, error)       { return os.Stat(name) }
func (osFS) ReadDir(dir string) ([]fs.DirEntry, error)   { return os.ReadDir(dir) }
func (osFS) Rename(oldname, newname string) error        { return os.Rename(oldname, newname) }
func (osFS) Remove(name string) error                    { return os.Remove(name) }
func (osFS) SyncDir(dir string) error                    { return syncDir(dir) }
func (osFS) Free(dir string) (int64, error)              { return freeBytes(dir) }

func (osFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func (f osFile) Datasync() error           { return datasync(f.File) }
func (f osFile) Allocate(size int64) error { return allocate(f.File, size) }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// makeDir creates the ledger's directory with rights for the owner only, and refuses one that others may write to: who can rename
// files can throw evidence away.
//
//	mkdirat(DIR, 0700)
//	openat(PARENT), fsync, close
func makeDir(fsys FS, dir string) error {
	if _, err := fsys.Stat(dir); err != nil {
		if err := fsys.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := fsys.SyncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	info, err := fsys.Stat(dir)
	if err != nil {
		return err
	}
	return checkRights(dir, info)
}
