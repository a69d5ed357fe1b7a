package backup

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"tapline/broker/store"
)

// ErrDamaged says that a file is no whole backup.
var ErrDamaged = errors.New("the backup is damaged or was cut off")

// maxLine bounds a line: a row holds at most a batch of records that was refused.
const maxLine = 256 << 20

// errStopped ends a reading that nobody wants the rest of.
var errStopped = errors.New("stopped")

// Backup is a file that was read whole once and is what its end says.
type Backup struct {
	Manifest Manifest
	Rows     uint64
	path     string
}

// Open reads a backup to its end and holds it to its digest.
func Open(ctx context.Context, path string) (*Backup, error) {
	b := &Backup{path: path}
	digest := sha256.New()
	var last []byte // the line before, which counts once there is one after it
	first := true
	err := b.lines(ctx, func(line []byte) error {
		if first {
			first = false
			if err := json.Unmarshal(line, &b.Manifest); err != nil || b.Manifest.Format != format {
				return fmt.Errorf("%w: it does not begin as %s", ErrDamaged, format)
			}
		}
		digest.Write(last)
		last = append(last[:0], line...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read backup %s: %w", path, err)
	}
	var e end
	if err := json.Unmarshal(last, &e); err != nil || !e.End {
		return nil, fmt.Errorf("read backup %s: %w: it has no end", path, ErrDamaged)
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != e.SHA256 {
		return nil, fmt.Errorf("read backup %s: %w: its digest is %s, it says %s", path, ErrDamaged, got, e.SHA256)
	}
	b.Rows = e.Rows
	return b, nil
}

// lines gives each line with its end to do.
func (b *Backup) lines(ctx context.Context, do func(line []byte) error) error {
	f, err := os.Open(b.path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	packed, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<16))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	s := bufio.NewScanner(packed)
	s.Buffer(make([]byte, 1<<16), maxLine)
	s.Split(wholeLines)
	for s.Scan() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := do(s.Bytes()); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// wholeLines splits lines and leaves their ends on; a last line without an end is an error.
func wholeLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}

// Restore puts the backup into a store: all of it, or nothing. check sees the whole before it is kept. Progress hears how many rows were read.
func (b *Backup) Restore(ctx context.Context, s *store.Store, force bool, check func(*store.Tx) error, progress func(rows uint64)) error {
	var failed error
	next, stop := iter.Pull(func(yield func([]byte) bool) {
		failed = b.lines(ctx, func(line []byte) error {
			if !yield(line) {
				return errStopped
			}
			return nil
		})
	})
	defer stop()
	source := &source{next: next, failed: &failed, progress: progress}
	err := s.Load(ctx, source, store.LoadOptions{Schema: b.Manifest.Schema, Force: force, Check: func(tx *store.Tx) error {
		if source.rows != b.Rows {
			return fmt.Errorf("%w: %d rows, it says %d", ErrDamaged, source.rows, b.Rows)
		}
		if check == nil {
			return nil
		}
		return check(tx)
	}})
	if err != nil {
		return fmt.Errorf("restore %s: %w", b.path, err)
	}
	return nil
}

// source gives a backup's tables and rows.
type source struct {
	next     func() ([]byte, bool)
	failed   *error // why next ended; nil if the file did
	progress func(uint64)
	begun    bool
	table    store.Table
	rows     uint64
}

// Next gives the next table or row.
func (s *source) Next() (*store.Table, []any, bool, error) {
	for {
		line, ok := s.next()
		if !ok {
			return nil, nil, false, *s.failed
		}
		if !s.begun { // the manifest
			s.begun = true
			continue
		}
		if line[0] == '[' {
			row, err := s.row(line)
			return nil, row, true, err
		}
		var e end
		if json.Unmarshal(line, &e) == nil && e.End {
			continue
		}
		var t store.Table
		if err := json.Unmarshal(line, &t); err != nil || t.Name == "" || len(t.Kinds) != len(t.Columns) {
			return nil, nil, false, fmt.Errorf("%w: a line is neither a table nor a row", ErrDamaged)
		}
		s.table = t
		return &t, nil, true, nil
	}
}

func (s *source) row(line []byte) ([]any, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(line, &raw); err != nil || len(raw) != len(s.table.Columns) {
		return nil, fmt.Errorf("%w: a row of %s is not one of its", ErrDamaged, s.table.Name)
	}
	row := make([]any, len(raw))
	for i, r := range raw {
		v, err := value(r, s.table.Kinds[i])
		if err != nil {
			return nil, fmt.Errorf("%w: column %s.%s: %w", ErrDamaged, s.table.Name, s.table.Columns[i], err)
		}
		row[i] = v
	}
	s.rows++
	if s.progress != nil && s.rows%1000 == 0 {
		s.progress(s.rows)
	}
	return row, nil
}

// value reads back what plain wrote.
func value(raw json.RawMessage, kind store.Kind) (any, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	switch kind {
	case store.Integer:
		var v int64
		err := json.Unmarshal(raw, &v)
		return v, err
	case store.Text:
		var v string
		err := json.Unmarshal(raw, &v)
		return v, err
	case store.Bytes:
		v := []byte{}
		err := json.Unmarshal(raw, &v)
		return v, err
	}
	return nil, fmt.Errorf("kind %q", kind)
}
