package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"tapline/proto/record"
)

// ErrNone says that there is no evidence under a path.
var ErrNone = errors.New("no evidence found")

// ErrIrregular says that something lies in the evidence that is neither a file nor a folder. A link would lead out of it, or hide what it leads to; a
// named pipe would keep whoever reads it waiting for ever.
var ErrIrregular = errors.New("evidence holds only files and folders")

// maxSmallFile is the limit in bytes of any file that is not records.
const maxSmallFile = 1 << 20

// Chain is one chain in its folder. Nothing of it was checked yet.
type Chain struct {
	Dir   string
	Form  Form
	Trust string // path of the trust.json that is for it; empty when there is none
}

// Open finds every chain in the folder at path and below, in the order of their paths. The error is ErrNone if there is none. A symbolic link
// below path, and anything but files and folders in a chain's own folder, is ErrIrregular.
func Open(path string) ([]Chain, error) {
	root, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	var chains []Chain
	err = filepath.WalkDir(root, func(dir string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%w: %s is a symbolic link", ErrIrregular, dir)
		}
		if err != nil || !d.IsDir() {
			return err
		}
		form, ok := formOf(dir)
		if !ok {
			return nil
		}
		if err := regular(dir); err != nil {
			return err
		}
		chains = append(chains, Chain{Dir: dir, Form: form, Trust: findTrust(dir)})
		return fs.SkipDir
	})
	if err != nil {
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	if len(chains) == 0 {
		return nil, fmt.Errorf("open evidence %s: %w", path, ErrNone)
	}
	return chains, nil
}

// regular wants nothing but files and folders in a chain's folder.
func regular(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !d.Type().IsRegular() {
			return fmt.Errorf("%w: %s is neither", ErrIrregular, path)
		}
		return err
	})
}

// formOf reports whether dir is a chain's folder. One of statement and records is enough, so that taking away the other is seen; and where an export
// has its chains, the folder alone is.
func formOf(dir string) (Form, bool) {
	switch {
	case under(dir) || exists(filepath.Join(dir, RecordsFile)):
		return Export, true
	case hasSegments(filepath.Join(dir, RecordsDir)) || exists(filepath.Join(dir, StationFile)):
		return Journal, true
	}
	return "", false
}

// hasSegments tells a ledger from a folder that happens to have its name.
func hasSegments(dir string) bool {
	found, err := filepath.Glob(filepath.Join(dir, "*.seg*"))
	return err == nil && len(found) > 0
}

// under reports whether dir lies where an export has its chains: stations/site/area/line/station/chain.
func under(dir string) bool {
	for range 5 {
		dir = filepath.Dir(dir)
	}
	return filepath.Base(dir) == StationsDir
}

// findTrust looks for trust.json in dir and, as an export has one for all its chains, above it.
func findTrust(dir string) string {
	for range 7 {
		if p := filepath.Join(dir, TrustFile); exists(p) {
			return p
		}
		dir = filepath.Dir(dir)
	}
	return ""
}

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// Statement reads the station statement. The error wraps fs.ErrNotExist if there is none, or a record.FaultKind.
func (c Chain) Statement() (record.Envelope, error) {
	return readEnvelope(filepath.Join(c.Dir, StationFile))
}

// Receipt reads the latest receipt. The error wraps fs.ErrNotExist if there is none, or a record.FaultKind.
func (c Chain) Receipt() (record.Envelope, error) {
	return readEnvelope(filepath.Join(c.Dir, ReceiptFile))
}

func readEnvelope(path string) (record.Envelope, error) {
	b, err := readSmall(path)
	if err != nil {
		return record.Envelope{}, err
	}
	return record.ParseEnvelope(b)
}

// ReadTrust reads a trust.json.
func ReadTrust(path string) (record.Trust, error) {
	b, err := readSmall(path)
	if err != nil {
		return record.Trust{}, err
	}
	return record.ParseTrust(b)
}

// readSmall reads a file of one line, with or without its newline.
func readSmall(path string) ([]byte, error) {
	b, err := readWhole(path)
	return bytes.TrimSuffix(b, []byte("\n")), err
}

// ReadLogFile reads a file that is not long of the log in an evidence folder. The error wraps fs.ErrNotExist if it is not there.
func ReadLogFile(dir, name string) ([]byte, error) {
	return readWhole(filepath.Join(dir, LogDir, name))
}

// readWhole reads a file that is not long.
func readWhole(path string) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSmallFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(b) > maxSmallFile {
		return nil, fmt.Errorf("read %s: %w", path, record.FaultTooLarge)
	}
	return b, nil
}

// openRegular opens a file to read it. Anything else is ErrIrregular: a named pipe, of a folder that somebody else made up, would never answer.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is neither a file nor a link to one", ErrIrregular, path)
	}
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}
