package backup

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
	"unicode/utf8"

	"tapline/broker/store"
)

// format names the format and its version.
const format = "tapline-backup/1"

// Manifest is the first line of a backup.
type Manifest struct {
	Format  string    `json:"format"`
	MadeAt  time.Time `json:"made_at"`
	Build   string    `json:"build"`
	Store   string    `json:"store"` // where it was
	Schema  int64     `json:"schema"`
	Records uint64    `json:"records"` // how many; the last one's cursor
	// LogSize is the size of the newest head of the log, and Checkpoint the newest that was published, signed; empty before the first.
	LogSize    uint64 `json:"log_size"`
	Checkpoint string `json:"checkpoint,omitempty"`
	MasterKey  []byte `json:"master_key,omitempty"`
}

// end is the last line.
type end struct {
	End    bool   `json:"end"`
	Rows   uint64 `json:"rows"`
	SHA256 string `json:"sha256"`
}

// Options say what goes in beside the store.
type Options struct {
	Build     string
	Now       time.Time
	MasterKey []byte // nil: not in the backup
	// Progress, if it is set, hears how many rows were written.
	Progress func(rows uint64)
}

// Write writes a backup of the store as it is at one moment, and gives its manifest.
func Write(ctx context.Context, s *store.Store, w io.Writer, o Options) (Manifest, error) {
	packed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	d := &writer{where: s.Where(), o: o, digest: sha256.New()}
	d.to = bufio.NewWriterSize(io.MultiWriter(packed, d.digest), 1<<16)
	err = s.Dump(ctx, d)
	if err == nil {
		err = d.to.Flush()
	}
	if err == nil {
		err = json.NewEncoder(packed).Encode(end{End: true, Rows: d.rows, SHA256: hex.EncodeToString(d.digest.Sum(nil))})
	}
	if err == nil {
		err = packed.Close()
	}
	if err != nil {
		return d.manifest, fmt.Errorf("backup: %w", err)
	}
	return d.manifest, nil
}

// writer is the sink of a dump.
type writer struct {
	where    string
	o        Options
	to       *bufio.Writer
	digest   hash.Hash
	manifest Manifest
	table    store.Table
	rows     uint64
}

func (w *writer) line(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = w.to.Write(append(b, '\n'))
	}
	return err
}

// Begin writes the manifest.
func (w *writer) Begin(tx *store.Tx, schema int64) error {
	m := Manifest{Format: format, MadeAt: w.o.Now.UTC(), Build: w.o.Build, Store: w.where, Schema: schema, MasterKey: w.o.MasterKey}
	var err error
	if m.Records, err = tx.LastCursor(); err != nil {
		return err
	}
	head, err := tx.LogHead()
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	m.LogSize = head.Size
	published, err := tx.Published(0)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	m.Checkpoint = string(published.Checkpoint)
	w.manifest = m
	return w.line(m)
}

// Table writes a table's head.
func (w *writer) Table(t store.Table) error {
	w.table = t
	return w.line(t)
}

// Row writes one row.
func (w *writer) Row(values []any) error {
	row := make([]any, len(values))
	for i, v := range values {
		var err error
		if row[i], err = plain(v, w.table.Kinds[i]); err != nil {
			return fmt.Errorf("column %s: %w", w.table.Columns[i], err)
		}
	}
	w.rows++
	if w.o.Progress != nil && w.rows%1000 == 0 {
		w.o.Progress(w.rows)
	}
	return w.line(row)
}

// plain is a value as JSON has it without loss.
func plain(v any, kind store.Kind) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case int64:
		if kind == store.Integer {
			return v, nil
		}
	case string:
		if kind == store.Text && !utf8.ValidString(v) {
			return nil, errors.New("text that is not UTF-8")
		}
		if kind == store.Text {
			return v, nil
		}
		if kind == store.Bytes {
			return []byte(v), nil
		}
	case []byte:
		if kind == store.Bytes {
			return append([]byte{}, v...), nil // one without bytes is not the same as none
		}
	}
	return nil, fmt.Errorf("a %T where %s is to be", v, kind)
}
