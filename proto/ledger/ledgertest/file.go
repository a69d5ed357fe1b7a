package ledgertest

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"tapline/proto/ledger"
)

// file is an open file of a Disk; the disk's mu guards the node.
type file struct {
	d    *Disk
	path string
	n    *inode
}

// OpenFile implements ledger.FS.
func (d *Disk) OpenFile(name string, flag int, _ fs.FileMode) (ledger.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.seen[name]
	if n == nil && flag&os.O_CREATE == 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	}
	f := &file{d, name, n}
	if n == nil {
		effect, err := d.step("create", name)
		if effect {
			f.n = &inode{}
			d.change(nameStep{set: name, node: f.n})
		}
		if err != nil {
			return nil, err
		}
	}
	if flag&os.O_TRUNC != 0 && len(f.n.seen) > 0 {
		f.n.resize(0)
	}
	return f, nil
}

func (n *inode) resize(size int64) {
	n.seen = resize(n.seen, size)
	n.pending = append(n.pending, fileStep{at: size})
}

func (f *file) ReadAt(p []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if _, err := f.d.step("read", f.path); err != nil {
		return 0, err
	}
	if at >= int64(len(f.n.seen)) {
		return 0, io.EOF
	}
	k := copy(p, f.n.seen[at:])
	if k < len(p) {
		return k, io.EOF
	}
	return k, nil
}

func (f *file) WriteAt(p []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if grow := at + int64(len(p)) - int64(len(f.n.seen)); grow > f.d.free() {
		return 0, &fs.PathError{Op: "write", Path: f.path, Err: syscall.ENOSPC}
	}
	effect, err := f.d.step("write", f.path)
	if effect {
		f.n.seen = overwrite(f.n.seen, p, at)
		f.n.pending = append(f.n.pending, fileStep{at, bytes.Clone(p)})
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *file) Sync() error     { return f.flush("sync") }
func (f *file) Datasync() error { return f.flush("datasync") }

// flush confirms the pending steps. If it is lost they are forgotten, not retried.
func (f *file) flush(call string) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	effect, err := f.d.step(call, f.path)
	if effect {
		for _, s := range f.n.pending {
			if s.data == nil {
				f.n.durable = resize(f.n.durable, s.at)
			} else {
				f.n.durable = overwrite(f.n.durable, s.data, s.at)
			}
		}
	}
	f.n.pending = nil
	return err
}

func (f *file) Truncate(size int64) error { return f.setSize("truncate", size) }
func (f *file) Allocate(size int64) error { return f.setSize("allocate", size) }

func (f *file) setSize(call string, size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if size-int64(len(f.n.seen)) > f.d.free() {
		return &fs.PathError{Op: call, Path: f.path, Err: syscall.ENOSPC}
	}
	effect, err := f.d.step(call, f.path)
	if effect {
		f.n.resize(size)
	}
	return err
}

func (f *file) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.n.seen)), nil
}

func (f *file) Close() error { return nil }

// info describes a file or directory of a Disk.
type info struct {
	name string
	mode fs.FileMode
	size int64
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
