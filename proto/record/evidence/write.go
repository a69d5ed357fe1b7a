package evidence

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"tapline/proto/record"
)

// Writer writes an export. The order is Trust, then for each chain Chain, Append, Receipt, Close. A chain must come with the chains that its
// statement names as previous, or it will not verify.
type Writer struct{ dir string }

// Create makes an export in dir, which must not exist or be empty.
func Create(dir string) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create evidence: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("create evidence: %w", err)
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("create evidence: %s is not empty", dir)
	}
	return &Writer{dir: dir}, nil
}

// Trust writes trust.json.
func (w *Writer) Trust(t record.Trust) error {
	b, err := t.Encode()
	if err != nil {
		return err
	}
	return writeSmall(filepath.Join(w.dir, TrustFile), b)
}

// Chain begins the folder of the chain that a station statement is for.
func (w *Writer) Chain(statement record.Envelope) (*ChainWriter, error) {
	s, err := record.ReadStation(statement)
	if err != nil {
		return nil, fmt.Errorf("write chain: %w", err)
	}
	dir := filepath.Join(w.dir, filepath.FromSlash(ChainPath(s.Station, s.Chain)))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("write chain: %w", err)
	}
	if err := writeSmall(filepath.Join(dir, StationFile), statement.Bytes()); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, RecordsFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write chain: %w", err)
	}
	return &ChainWriter{dir: dir, file: f, buf: bufio.NewWriterSize(f, 64<<10)}, nil
}

// ChainWriter writes one chain. One goroutine uses it.
type ChainWriter struct {
	dir  string
	file *os.File
	buf  *bufio.Writer
}

// Append writes the next record.
func (w *ChainWriter) Append(envelope []byte) error {
	if _, err := w.buf.Write(envelope); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if err := w.buf.WriteByte('\n'); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

// Receipt writes the latest receipt.
func (w *ChainWriter) Receipt(e record.Envelope) error {
	return writeSmall(filepath.Join(w.dir, ReceiptFile), e.Bytes())
}

// Close flushes the records to the disk.
func (w *ChainWriter) Close() error {
	err := w.buf.Flush()
	if err == nil {
		err = w.file.Sync()
	}
	if err = errors.Join(err, w.file.Close()); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	return nil
}

// writeSmall writes a file of one line.
func writeSmall(path string, line []byte) error {
	if err := os.WriteFile(path, append(line[:len(line):len(line)], '\n'), 0o600); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	return nil
}
