package ledger

import (
	"errors"
	"fmt"
)

// What a caller can match with errors.Is. Where a file is concerned, the error is an [*Error].
var (
	// ErrFailed: a write or flush went wrong, or one did before and Reopen has not been called since. Whether the entries of the
	// call that met the fault are on the disk is unknown until Reopen, which drops them, or the next Open, which may find them.
	ErrFailed = errors.New("ledger failed")
	// ErrFull: no space for another segment. Nothing was written and the ledger goes on; try again once there is space.
	ErrFull = errors.New("disk full")
	// ErrLocked: another process, or another Ledger in this one, has the directory open.
	ErrLocked = errors.New("ledger is in use")
	// ErrTooLarge: an entry is above Options.MaxEntry, or the entries of one call don't fit into one segment.
	ErrTooLarge = errors.New("too large")
	// ErrEmpty: a call without entries or an entry without bytes.
	ErrEmpty = errors.New("empty entry")
	// ErrCorrupt: acknowledged entries are damaged or missing. Nothing was changed.
	ErrCorrupt = errors.New("corrupt")
	// ErrTrimmed: the entry asked for was dropped by TrimBefore while it was being read.
	ErrTrimmed = errors.New("trimmed")
	// ErrClosed: Close has been called.
	ErrClosed = errors.New("ledger is closed")
	// ErrRights: the directory can be written by users other than the owner.
	ErrRights = errors.New("unsafe rights")
)

// Error says where in a ledger something went wrong.
type Error struct {
	Op     string // what was being done: "write", "flush", "recover", ...
	Path   string // the file or directory
	Offset int64  // byte offset in the file, 0 if it doesn't matter
	Index  Index  // the entry concerned, or the first of them; 0 if none
	Kind   error  // one of the sentinels of this package
	Err    error  // the cause; may be nil
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s %s", e.Op, e.Path)
	if e.Offset > 0 {
		s += fmt.Sprintf(" at offset %d", e.Offset)
	}
	if e.Index > 0 {
		s += fmt.Sprintf(" (entry %d)", e.Index)
	}
	s += ": " + e.Kind.Error()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap lets errors.Is find both the sentinel and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}
