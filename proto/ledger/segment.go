package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

// A segment file is a header block, then frames, then zeros up to the size that was set aside when it was made.
//
//	 0  magic    8 bytes  "TAPLEDGR"
//	 8  version  uint32   1
//	12  start    uint32   offset of the first frame, 4096: writes of frames never touch the header's block
//	16  first    uint64   index of the first entry, also in the file's name
//	24  made     int64    when the file was made, Unix milliseconds
//	60  crc      uint32   CRC-32C of bytes 0 to 59
const (
	segmentMagic   = "TAPLEDGR"
	segmentVersion = 1
	headerSize     = 64
	dataStart      = 4096
	blockSize      = 4096
	// maxSegment bounds what recovery is willing to read into memory.
	maxSegment = 1 << 30
	// markEvery is how many bytes of frames a reader may have to skip to find an index.
	markEvery = 4 << 10
)

const (
	segmentSuffix    = ".seg"
	quarantineSuffix = ".quarantined"
	newSuffix        = ".new"
	lockName         = "lock"
	reserveName      = "reserve"
)

// segment is what the ledger knows of one file. The slices only grow; readers work on a copy of the struct.
type segment struct {
	path  string
	size  int64 // of the file
	first Index
	next  Index // one after the last durable entry
	end   int64 // offset one after the last durable entry
	marks []mark
}

// mark says at which offset an entry is.
type mark struct {
	index Index
	at    int64
}

// note adds a mark if the last one is far enough back.
func (s *segment) note(i Index, at int64) {
	if n := len(s.marks); n == 0 || at-s.marks[n-1].at >= markEvery {
		s.marks = append(s.marks, mark{i, at})
	}
}

// find returns the last mark that is not behind i.
func (s *segment) find(i Index) mark {
	n := sort.Search(len(s.marks), func(n int) bool { return s.marks[n].index > i })
	if n == 0 {
		return mark{s.first, dataStart}
	}
	return s.marks[n-1]
}

func segmentName(first Index) string { return fmt.Sprintf("%020d%s", uint64(first), segmentSuffix) }

// parseName reads the first index from a file name. Names that no ledger would write are not ours.
func parseName(name string) (first Index, quarantined, ok bool) {
	base, quarantined := strings.CutSuffix(name, quarantineSuffix)
	digits, ok := strings.CutSuffix(base, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n == 0 {
		return 0, false, false
	}
	return Index(n), quarantined, true
}

func encodeHeader(first Index, made time.Time) []byte {
	b := make([]byte, headerSize)
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint32(b[8:], segmentVersion)
	binary.LittleEndian.PutUint32(b[12:], dataStart)
	binary.LittleEndian.PutUint64(b[16:], uint64(first))
	binary.LittleEndian.PutUint64(b[24:], uint64(made.UnixMilli()))
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli()))
	return b
}

func checkHeader(b []byte, first Index) error {
	switch {
	case len(b) < dataStart:
		return errors.New("shorter than its header")
	case string(b[:8]) != segmentMagic:
		return errors.New("not a segment file")
	case binary.LittleEndian.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli()):
		return errors.New("bad header checksum")
	case binary.LittleEndian.Uint32(b[8:]) != segmentVersion:
		return fmt.Errorf("version %d is unknown", binary.LittleEndian.Uint32(b[8:]))
	case binary.LittleEndian.Uint32(b[12:]) != dataStart:
		return errors.New("unknown layout")
	case Index(binary.LittleEndian.Uint64(b[16:])) != first:
		return fmt.Errorf("header says first entry %d, name says %d", binary.LittleEndian.Uint64(b[16:]), first)
	}
	return nil
}

// createSegment makes the segment that starts at entry first and opens it for writing. If it returns nil the file is on the disk under
// its name; if it returns an error, the name is either unchanged or the new, empty segment.
//
//	openat("segment.new", O_RDWR|O_CREAT|O_TRUNC|O_CLOEXEC, 0600)
//	fallocate, pwrite64 of zeros    so that later flushes move no metadata
//	pwrite64 of the header
//	fsync, close
//	renameat("segment.new", NAME)   a file under its name always has a good header
//	openat(DIR), fsync, close
//	openat(NAME, O_RDWR|O_CLOEXEC)
func (l *Ledger) createSegment(first Index, size int64) (*segment, File, error) {
	fresh := filepath.Join(l.dir, "segment"+newSuffix)
	f, err := l.allocate(fresh, size)
	if err != nil {
		return nil, nil, err
	}
	return l.nameSegment(f, fresh, first, size)
}

// nameSegment turns the zeroed file f, open at path, into a segment.
func (l *Ledger) nameSegment(f File, path string, first Index, size int64) (*segment, File, error) {
	name := filepath.Join(l.dir, segmentName(first))
	_, err := f.WriteAt(encodeHeader(first, l.o.Now()), 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, nil, errors.Join(err, l.fs.Remove(path))
	}
	if err = l.fs.Rename(path, name); err == nil {
		err = l.fs.SyncDir(l.dir)
	}
	if err == nil {
		f, err = l.fs.OpenFile(name, os.O_RDWR, 0)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errUnsettled, err)
	}
	return &segment{path: name, size: size, first: first, next: first, end: dataStart}, f, nil
}

// errUnsettled: a new segment may be there under its name or not. Nothing must be written to the old one any more, because recovery would
// take the new one's first index for its end; so this is never a mere ErrFull.
var errUnsettled = errors.New("new segment may exist")

// noSpace says whether err means that the disk is full and nothing has changed.
func noSpace(err error) bool { return isFull(err) && !errors.Is(err, errUnsettled) }

// allocate makes a file of zeros that takes up its size on the disk. On an error it leaves nothing behind that would take space.
func (l *Ledger) allocate(path string, size int64) (File, error) {
	f, err := l.fs.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := fill(f, size); err != nil {
		return nil, errors.Join(err, f.Close(), l.fs.Remove(path))
	}
	return f, nil
}

// fill writes real zeros after setting the space aside: blocks that were only set aside must be marked as written on their first flush,
// which costs a metadata write each time.
func fill(f File, size int64) error {
	if err := f.Allocate(size); err != nil {
		return err
	}
	zeros := make([]byte, min(size, 256<<10))
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
	}
	return nil
}
