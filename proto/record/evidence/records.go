package evidence

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"tapline/proto/ledger"
	"tapline/proto/record"
)

// ErrTorn says that the records break off or are damaged at this place.
var ErrTorn = errors.New("torn")

// Records gives the envelopes in the order in which they lie there. A slice is good until the next one is asked for. After an error, which wraps
// ErrTorn if the evidence is to blame and not the machine that reads it, more records may follow. A chain without a file of records has none.
func (c Chain) Records() iter.Seq2[[]byte, error] {
	if c.Form == Journal {
		return c.ledger
	}
	return c.lines
}

// Size is how many bytes the records take, for showing progress.
func (c Chain) Size() int64 {
	name := RecordsFile
	if c.Form == Journal {
		name = RecordsDir
	}
	var n int64
	_ = filepath.WalkDir(filepath.Join(c.Dir, name), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

func (c Chain) lines(yield func([]byte, error) bool) {
	f, err := openRegular(filepath.Join(c.Dir, RecordsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		yield(nil, fmt.Errorf("read records: %w", err))
		return
	}
	defer f.Close()
	// A line that fills the buffer is longer than any record.
	r := bufio.NewReaderSize(f, record.MaxRecord+2)
	for {
		line, err := r.ReadSlice('\n')
		switch {
		case err == nil:
			if !yield(line[:len(line)-1], nil) {
				return
			}
		case errors.Is(err, bufio.ErrBufferFull):
			yield(line, nil)
			return
		case errors.Is(err, io.EOF):
			if len(line) > 0 {
				yield(nil, fmt.Errorf("%w: the last %d bytes are no whole line", ErrTorn, len(line)))
			}
			return
		default:
			yield(nil, fmt.Errorf("read records: %w", err))
			return
		}
	}
}

func (c Chain) ledger(yield func([]byte, error) bool) {
	dir := filepath.Join(c.Dir, RecordsDir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return
	}
	r, err := ledger.OpenReader(dir, ledger.Options{})
	if err != nil {
		yield(nil, err)
		return
	}
	damage := lost(r.Damage())
	for e, err := range r.Entries(0) {
		if err != nil {
			if errors.Is(err, ledger.ErrCorrupt) {
				err = fmt.Errorf("%w: %w", ErrTorn, err)
			}
			yield(nil, err)
			return
		}
		for len(damage) > 0 && damage[0].Index < e.Index {
			if !yield(nil, damage[0].err()) {
				return
			}
			damage = damage[1:]
		}
		if !yield(e.Data, nil) {
			return
		}
	}
	for _, d := range damage {
		if !yield(nil, d.err()) {
			return
		}
	}
}

type damaged struct{ ledger.Damage }

func (d damaged) err() error {
	return fmt.Errorf("%w: %s at byte %d: %s", ErrTorn, filepath.Base(d.Path), d.Offset, d.Reason)
}

// lost leaves out the traces of crashes that cost no record.
func lost(all []ledger.Damage) []damaged {
	var list []damaged
	for _, d := range all {
		if d.Kind == ledger.Corrupt || d.Kind == ledger.Missing {
			list = append(list, damaged{d})
		}
	}
	return list
}
