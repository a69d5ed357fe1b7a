// Package ledgertest has a disk in memory that crashes and fails on demand, for tests of the ledger and of what is built on it.
//
// A [Disk] keeps two states of every file and name: what a process sees, and what would be left after a power cut. Between them lie
// the steps that no flush has confirmed; [Disk.Crash] keeps any subset of them, writes cut to sectors of 512 bytes, which is as
// unkind as the rules for disks and file systems allow. [Disk.Inject] makes single steps fail, with their effect lost or kept.
//
// It is for tests only: it checks no rights, knows no directories but as prefixes of names, and never blocks.
package ledgertest

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"tapline/proto/ledger"
)

const sector = 512

// Step is one call that changes the disk, or, with N = 0, one that reads.
type Step struct {
	N    int    // counts the changing calls from 1
	Call string // "mkdir", "create", "write", "sync", "datasync", "truncate", "allocate", "rename", "remove", "syncdir", "read"
	Path string
}

// Fault is how a step goes wrong: it returns Err, and its effect is lost or, if Kept, there all the same. A lost flush is lost for good: as
// in a kernel that calls a page clean after it failed to write it, later flushes don't bring it back.
type Fault struct {
	Err  error
	Kept bool
}

// Disk is a ledger.FS in memory. Its methods may be called from any goroutine.
type Disk struct {
	mu       sync.Mutex // guards all below and all files
	dirs     map[string]bool
	seen     map[string]*inode // what a process sees
	durable  map[string]*inode // what is left after a power cut
	pending  []nameStep
	locks    map[string]bool
	capacity int64 // 0 = no limit
	steps    int
	inject   func(Step) *Fault
}

type inode struct {
	seen, durable []byte
	pending       []fileStep
}

// fileStep is a write of data at an offset, or, without data, a change of size.
type fileStep struct {
	at   int64
	data []byte
}

// nameStep sets a name, removes one, or does both at once.
type nameStep struct {
	set, remove string
	node        *inode
}

var _ ledger.FS = (*Disk)(nil)

// NewDisk returns an empty disk with the given capacity in bytes, 0 for no limit.
func NewDisk(capacity int64) *Disk {
	return &Disk{
		dirs: map[string]bool{}, seen: map[string]*inode{}, durable: map[string]*inode{}, locks: map[string]bool{},
		capacity: capacity,
	}
}

// Inject asks f before every step whether it fails; nil means that none does. f must not call the disk.
func (d *Disk) Inject(f func(Step) *Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inject = f
}

// Steps returns how many changing calls there were.
func (d *Disk) Steps() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.steps
}

// SetCapacity changes the size of the disk.
func (d *Disk) SetCapacity(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = bytes
}

// Kill ends the process that uses the disk: its locks go, all that it wrote stays visible, and no step fails any more.
func (d *Disk) Kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.locks)
	d.inject = nil
}

// Crash cuts the power: it returns the disk as it would be found afterwards, with each unconfirmed step kept with probability keep.
// d itself is unchanged, so that many outcomes of one moment can be tried.
func (d *Disk) Crash(rng *rand.Rand, keep float64) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := NewDisk(d.capacity)
	after.dirs = maps.Clone(d.dirs)
	names := maps.Clone(d.durable)
	for _, s := range d.pending {
		if rng.Float64() < keep {
			s.apply(names)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		b := names[name].crash(rng, keep)
		n := &inode{seen: b, durable: bytes.Clone(b)}
		after.seen[name], after.durable[name] = n, n
	}
	return after
}

// crash returns the file's bytes with a random part of the unconfirmed steps.
func (n *inode) crash(rng *rand.Rand, keep float64) []byte {
	b := bytes.Clone(n.durable)
	for _, s := range n.pending {
		if s.data == nil {
			if rng.Float64() < keep {
				b = resize(b, s.at)
			}
			continue
		}
		for data, at := s.data, s.at; len(data) > 0; {
			k := min(int64(len(data)), sector-at%sector)
			if rng.Float64() < keep {
				b = overwrite(b, data[:k], at)
			}
			data, at = data[k:], at+k
		}
	}
	return b
}

func (s nameStep) apply(names map[string]*inode) {
	if s.remove != "" && (s.node == nil || names[s.remove] == s.node) {
		delete(names, s.remove)
	}
	if s.set != "" {
		names[s.set] = s.node
	}
}

func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

func overwrite(b, data []byte, at int64) []byte {
	b = resize(b, max(int64(len(b)), at+int64(len(data))))
	copy(b[at:], data)
	return b
}

// step counts a call and asks whether it fails. It returns whether to take effect, and the error. mu must be held.
func (d *Disk) step(call, path string) (effect bool, err error) {
	s := Step{Call: call, Path: path}
	if call != "read" {
		d.steps++
		s.N = d.steps
	}
	if d.inject == nil {
		return true, nil
	}
	f := d.inject(s)
	if f == nil {
		return true, nil
	}
	return f.Kept, &fs.PathError{Op: call, Path: path, Err: f.Err}
}

// free is what may still be allocated. mu must be held.
func (d *Disk) free() int64 {
	if d.capacity == 0 {
		return 1 << 40
	}
	free := d.capacity
	for _, n := range d.seen {
		free -= int64(len(n.seen))
	}
	return max(0, free)
}

func (d *Disk) change(s nameStep) {
	s.apply(d.seen)
	d.pending = append(d.pending, s)
}

// Lock implements ledger.FS.
func (d *Disk) Lock(name string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locks[name] {
		return nil, ledger.ErrLocked
	}
	d.locks[name] = true
	return unlock(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.locks, name)
	}), nil
}

type unlock func()

func (u unlock) Close() error { u(); return nil }

// Free implements ledger.FS.
func (d *Disk) Free(string) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.free(), nil
}

// MkdirAll implements ledger.FS. Directories are durable at once.
func (d *Disk) MkdirAll(dir string, _ fs.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	effect, err := d.step("mkdir", dir)
	if effect {
		d.dirs[dir] = true
	}
	return err
}

// Stat implements ledger.FS.
func (d *Disk) Stat(name string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dirs[name] {
		return info{name: filepath.Base(name), mode: fs.ModeDir | 0o700}, nil
	}
	if n := d.seen[name]; n != nil {
		return info{name: filepath.Base(name), mode: 0o600, size: int64(len(n.seen))}, nil
	}
	return nil, &fs.PathError{Op: "stat", Path: name, Err: syscall.ENOENT}
}

// ReadDir implements ledger.FS.
func (d *Disk) ReadDir(dir string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.dirs[dir] {
		return nil, &fs.PathError{Op: "readdir", Path: dir, Err: syscall.ENOENT}
	}
	var list []fs.DirEntry
	for _, name := range slices.Sorted(maps.Keys(d.seen)) {
		if filepath.Dir(name) == dir {
			list = append(list, fs.FileInfoToDirEntry(info{name: filepath.Base(name), mode: 0o600, size: int64(len(d.seen[name].seen))}))
		}
	}
	return list, nil
}

// Rename implements ledger.FS.
func (d *Disk) Rename(oldname, newname string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.seen[oldname]
	if n == nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: syscall.ENOENT}
	}
	effect, err := d.step("rename", newname)
	if effect {
		d.change(nameStep{set: newname, remove: oldname, node: n})
	}
	return err
}

// Remove implements ledger.FS.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOENT}
	}
	effect, err := d.step("remove", name)
	if effect {
		d.change(nameStep{remove: name})
	}
	return err
}

// SyncDir implements ledger.FS.
func (d *Disk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	effect, err := d.step("syncdir", dir) // if it is lost, the names stay unconfirmed for the next one
	for _, s := range d.pending {
		if effect {
			s.apply(d.durable)
		}
	}
	if effect {
		d.pending = nil
	}
	return err
}
