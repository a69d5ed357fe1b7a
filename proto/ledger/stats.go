package ledger

import "time"

// Stats is the state of a ledger at one moment.
type Stats struct {
	First, Next Index
	Segments    int
	Bytes       int64 // taken on the disk by segments and reserve, whether filled or not
	Used        int64 // of them, filled with entries
	MaxBytes    int64 // Options.MaxBytes
	Free        int64 // left on the disk, -1 if that can't be asked
	Reserve     ReserveState
	LastFlush   time.Duration // how long the last flush of entries took, 0 before the first
	Failed      error         // why nothing is acknowledged, nil if all is well
}

// ReserveState says whether AppendReserved is covered.
type ReserveState string

// The states of the reserve.
const (
	ReserveHeld ReserveState = "held" // on the disk
	ReserveUsed ReserveState = "used" // used or not to be had: it comes back by itself once there is space
	ReserveNone ReserveState = "none" // Options.Reserve is negative
)

// Fill is Bytes as a share of MaxBytes, 0 if there is no MaxBytes. It may exceed 1.
func (s Stats) Fill() float64 {
	if s.MaxBytes <= 0 {
		return 0
	}
	return float64(s.Bytes) / float64(s.MaxBytes)
}

// Stats asks the disk for its free space; the rest is from memory.
func (l *Ledger) Stats() Stats {
	free, err := l.fs.Free(l.dir)
	if err != nil {
		free = -1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{
		First: l.first(), Next: l.next, Segments: len(l.segments), MaxBytes: l.o.MaxBytes, Free: free,
		Reserve: ReserveNone, LastFlush: l.lastSync, Failed: l.failed,
	}
	for _, seg := range l.segments {
		s.Bytes += seg.size
		s.Used += seg.end
	}
	if l.o.Reserve > 0 {
		s.Reserve = ReserveUsed
	}
	if l.reserve {
		s.Reserve = ReserveHeld
		s.Bytes += l.o.Reserve
	}
	return s
}
