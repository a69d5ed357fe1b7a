//go:build linux

package serial

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/creack/pty"

	"tapline/reader"
	"tapline/reader/readertest"
)

// line is a reader at the far end of a pseudo terminal, found by a link that is remade when it is plugged in again.
type line struct {
	source reader.Source
	path   string
	ends   []*os.File // the reader's end first, then ours, kept open as a cable is
	after  string     // what the reader sends after a number
}

func newLine(t *testing.T, cfg Config, after string) *line {
	t.Helper()
	l := &line{path: filepath.Join(t.TempDir(), "line"), after: after}
	if err := l.Attach(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Detach() })
	cfg.Port, cfg.Name = l.path, "Line"
	src, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.source = src
	return l
}

func uid(badge int) []byte { return []byte{4, 0xA1, 0xB2, byte(badge)} }

func (l *line) Source() reader.Source          { return l.source }
func (l *line) Reader() reader.Name            { return "Line" }
func (l *line) Presence() bool                 { return false }
func (l *line) Number(badge int) reader.Number { return reader.NewNumber("hex", uid(badge), 0) }
func (l *line) Remove() error                  { return nil }

func (l *line) Tap(badge int) error {
	_, err := fmt.Fprintf(l.ends[0], "%X%s", uid(badge), l.after)
	return err
}

func (l *line) Spoil() (reader.Reason, error) {
	_, err := fmt.Fprintf(l.ends[0], "no badge%s", l.after)
	return reader.BadData, err
}

func (l *line) Detach() error {
	var faults []error
	for _, end := range l.ends {
		faults = append(faults, end.Close())
	}
	l.ends = nil
	return errors.Join(append(faults, os.RemoveAll(l.path))...)
}

func (l *line) Attach() error {
	far, near, err := pty.Open()
	if err != nil {
		return err
	}
	l.ends = []*os.File{far, near}
	return os.Symlink(near.Name(), l.path)
}

func TestTheSourceKeepsTheContractOverATerminatedLine(t *testing.T) {
	readertest.Run(t, func(t *testing.T) readertest.Harness { return newLine(t, Config{}, "\r\n") })
}

func TestAReaderWithoutTerminatorIsReadByItsPauses(t *testing.T) {
	l := newLine(t, Config{IdleFrame: 50 * time.Millisecond}, "")
	s := readertest.Start(t, l.source)
	s.Want(reader.Attached, l.Reader())
	for _, badge := range []int{0, 1} {
		if err := l.Tap(badge); err != nil {
			t.Fatal(err)
		}
		s.WantTap(l.Reader(), l.Number(badge))
	}
}

func TestALineThatNeverEndsIsToldAsUnreadable(t *testing.T) {
	l := newLine(t, Config{}, "")
	s := readertest.Start(t, l.source)
	s.Want(reader.Attached, l.Reader())
	if err := l.Tap(0); err != nil {
		t.Fatal(err)
	}
	if e := s.Want(reader.Unreadable, l.Reader()); e.Reason != reader.BadData {
		t.Errorf("reason is %q, want %q", e.Reason, reader.BadData)
	}
}

func TestAMissingPortIsToldOnceAndTakenUpWhenItComes(t *testing.T) {
	l := newLine(t, Config{}, "\r")
	if err := l.Detach(); err != nil {
		t.Fatal(err)
	}
	s := readertest.Start(t, l.source)
	s.Want(reader.Detached, l.Reader())
	if err := l.Attach(); err != nil {
		t.Fatal(err)
	}
	s.Want(reader.Attached, l.Reader())
}
