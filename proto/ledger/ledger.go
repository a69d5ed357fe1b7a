package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"
)

// Index counts the entries of a ledger from 1.
type Index uint64

// Entry is one entry. Data belongs to whoever received it.
type Entry struct {
	Index Index
	Data  []byte
}

// Options tune a ledger. The zero value is usable.
type Options struct {
	// FS is the disk; nil is the operating system's.
	FS FS
	// Now is the clock, for how long a flush took and when to try again for the reserve; nil is time.Now.
	Now func() time.Time
	// SegmentSize is how many bytes are set aside at a time; 0 is 4 MiB. Entries leave by whole segments.
	SegmentSize int64
	// MaxEntry is the largest entry in bytes; 0 is 64 KiB.
	MaxEntry int
	// Reserve is how many bytes are kept back on the disk for AppendReserved; 0 is 256 KiB, negative is none.
	Reserve int64
	// MaxBytes is the size that Stats measures against, a warning threshold and not a limit; 0 is none.
	MaxBytes int64
	// Quarantine lets Open put damaged files aside instead of returning ErrCorrupt: NAME.seg becomes NAME.seg.quarantined with its bytes
	// as they are, its entries are skipped, and Recovery.DroppedSegments names it. Without it nothing is touched.
	Quarantine bool
}

func (o Options) withDefaults() (Options, error) {
	if o.FS == nil {
		o.FS = OS()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.SegmentSize = wholeBlocks(o.SegmentSize, 4<<20)
	o.Reserve = wholeBlocks(o.Reserve, 256<<10)
	if o.MaxEntry == 0 {
		o.MaxEntry = 64 << 10
	}
	largest := frameSize(o.MaxEntry) + dataStart
	switch {
	case o.MaxEntry < 0:
		return o, errors.New("MaxEntry is negative")
	case o.SegmentSize < largest || o.SegmentSize > maxSegment:
		return o, fmt.Errorf("option SegmentSize: %d must be between %d, for the largest entry, and %d", o.SegmentSize, largest, maxSegment)
	case o.Reserve > 0 && o.Reserve < largest || o.Reserve > maxSegment:
		return o, fmt.Errorf("option Reserve: %d must be between %d, for the largest entry, and %d", o.Reserve, largest, maxSegment)
	}
	return o, nil
}

// wholeBlocks rounds up to blocks; 0 becomes zero, negative numbers become -1.
func wholeBlocks(n, zero int64) int64 {
	if n == 0 {
		n = zero
	}
	return max(-1, (n+blockSize-1)/blockSize*blockSize)
}

// Ledger is an open ledger. Its methods may be called from any goroutine.
type Ledger struct {
	dir  string
	o    Options
	fs   FS
	lock io.Closer

	requests sync.Pool // of *request, to spare the garbage collector one channel per Append

	// turn holds one token while somebody writes to files: a caller of Append on behalf of all that wait, or TrimBefore, Reopen
	// or Close. It guards the fields below it, up to mu.
	turn     chan struct{}
	cur      File // open for writing, the file of the last of segments; nil if the next append must make one
	buf      []byte
	nextTry  time.Time // when to try for the reserve again
	attempts int64     // bytes written to cur, acknowledged or not

	// mu guards the fields below. It is never held during a call to the disk.
	mu       sync.Mutex
	queue    []*request
	segments []*segment // in order; changed only with turn
	next     Index      // one after the last durable entry
	last     Entry      // the last durable entry, zero if there is none
	reserve  bool       // the reserve file is there
	news     chan struct{}
	failed   error
	closed   bool
	lastSync time.Duration
}

// take waits for the turn to write.
func (l *Ledger) take() { l.turn <- struct{}{} }

// pass gives the turn away.
func (l *Ledger) pass() { <-l.turn }

// refusal says why nothing can be appended. mu must be held.
func (l *Ledger) refusal() error {
	if l.closed {
		return fmt.Errorf("ledger %s: %w", l.dir, ErrClosed)
	}
	return l.failed
}

// current returns the segment that cur writes to. The turn must be held.
func (l *Ledger) current() *segment { return l.segments[len(l.segments)-1] }

// Last returns the newest durable entry, also if only TrimBefore was called since; false if there never was one.
func (l *Ledger) Last() (Entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Entry{l.last.Index, bytes.Clone(l.last.Data)}, l.last.Index != 0
}

// Bounds returns the indexes of the oldest entry kept and of the one that will be appended next; they are equal if there is none.
func (l *Ledger) Bounds() (first, next Index) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first(), l.next
}

// first is the oldest entry's index. mu must be held.
func (l *Ledger) first() Index {
	if len(l.segments) == 0 {
		return l.next
	}
	return l.segments[0].first
}

// Appended returns a channel that is closed as soon as an entry becomes durable after this call. To follow a ledger, take the
// channel, read Entries to their end, then wait.
func (l *Ledger) Appended() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.news == nil {
		l.news = make(chan struct{})
	}
	return l.news
}

// Close waits for the write that is under way, refuses the callers that still wait, and gives the lock back.
func (l *Ledger) Close() error {
	l.take()
	defer l.pass()
	l.mu.Lock()
	was := l.closed
	l.closed = true
	waiting := l.queue
	l.queue = nil
	refusal := l.refusal()
	l.mu.Unlock()
	if was {
		return nil
	}
	for _, r := range waiting {
		r.finish(0, refusal)
	}
	var err error
	if l.cur != nil {
		err = l.cur.Close()
		l.cur = nil
	}
	if err := errors.Join(err, l.lock.Close()); err != nil {
		return fmt.Errorf("close ledger %s: %w", l.dir, err)
	}
	return nil
}

func (l *Ledger) path(name string) string { return filepath.Join(l.dir, name) }
