// Package alive keeps the mark that says until when the agent lived: one small file, written over in place every few seconds, so that after a kill or a power cut the
// next start can say it to the second and not to the heartbeat.
//
// The mark is not evidence. Nobody signs it when it is made, it is not flushed (the machine's own cache outlives the agent, and a power cut costs half a
// minute of it), and whoever can write the station's files can write it. So the start record hands it on as what it is, and package proto/record/coverage believes it no further than the
// next heartbeat.
//
// Package agent calls it. It never fails loudly: a mark that cannot be written is an older mark.
package alive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"tapline/agent/clock"
	"tapline/proto/record"
)

// size is that of the file: one mark, filled up with blanks, so that it is written by one call into one block.
const size = 512

// Mark is the file. One goroutine uses it.
type Mark struct {
	path string
	file *os.File
}

// At is the mark at path. It opens nothing.
func At(path string) *Mark { return &Mark{path: path} }

// Read gives the mark that the last run left; nil when there is none that can be read.
func (m *Mark) Read() *record.Alive {
	f, err := os.Open(m.path)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, size))
	var a record.Alive
	if err != nil || json.Unmarshal(bytes.TrimSpace(b), &a) != nil || a.Boot == "" || a.Wall.IsZero() || a.Monotonic < 0 {
		return nil
	}
	a.Wall = a.Wall.UTC()
	return &a
}

// Write says that the agent lives at r.
func (m *Mark) Write(r clock.Reading) error {
	b, err := json.Marshal(record.Alive{Wall: r.Wall.Round(0).UTC(), Boot: r.Boot, Monotonic: int64(r.Monotonic)})
	if err != nil {
		return err
	}
	if len(b) >= size {
		return fmt.Errorf("mark of life has %d bytes", len(b))
	}
	if m.file == nil {
		if m.file, err = os.OpenFile(m.path, os.O_WRONLY|os.O_CREATE, 0o600); err != nil {
			return err
		}
	}
	block := append(bytes.Repeat([]byte{' '}, size-1), '\n')
	copy(block, b)
	if _, err = m.file.WriteAt(block, 0); err != nil {
		return errors.Join(err, m.Close())
	}
	return nil
}

// Close lets go of the file.
func (m *Mark) Close() error {
	if m.file == nil {
		return nil
	}
	f := m.file
	m.file = nil
	return f.Close()
}
