package evidence

import (
	"bufio"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tapline/proto/checkpoint"
)

// maxLine bounds a line of a list of leaves or hashes.
const maxLine = 256

// lines reads a file line by line. A file that is not there has none.
type lines struct {
	path string
	file *os.File
	read *bufio.Reader
	err  error
}

func openLines(path string) *lines {
	f, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &lines{path: path}
	}
	if err != nil {
		return &lines{path: path, err: err}
	}
	return &lines{path: path, file: f, read: bufio.NewReaderSize(f, 4096)}
}

// next gives the next line; ok is false behind the last one. A line that breaks off is malformed.
func (l *lines) next() (line string, ok bool, err error) {
	if l.err != nil || l.read == nil {
		return "", false, l.err
	}
	b, err := l.read.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF) && len(b) == 0:
		return "", false, nil
	case errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) || len(b) > maxLine:
		return "", false, fmt.Errorf("%w: %s has a line that is too long or breaks off", checkpoint.ErrMalformed, filepath.Base(l.path))
	case err != nil:
		return "", false, fmt.Errorf("read %s: %w", l.path, err)
	}
	return strings.TrimSuffix(string(b), "\n"), true, nil
}

func (l *lines) close() {
	if l.file != nil {
		_ = l.file.Close() // it was only read
	}
}

// leafLines reads leaves.
type leafLines struct{ *lines }

func (c Chain) leaves() leafLines { return leafLines{openLines(filepath.Join(c.Dir, LeavesFile))} }

func (l leafLines) next() (checkpoint.Leaf, bool, error) {
	line, ok, err := l.lines.next()
	if err != nil || !ok {
		return checkpoint.Leaf{}, false, err
	}
	leaf, err := checkpoint.ParseLeaf(line)
	return leaf, err == nil, err
}

// merged gives the leaves of several chains in the order of the log.
type merged struct{ heads []head }

type head struct {
	leaf checkpoint.Leaf
	from leafLines
}

// merge opens the lists of all chains. Close what it returns, also after an error.
func merge(chains []Chain) (*merged, error) {
	m := &merged{}
	for _, c := range chains {
		h := head{from: c.leaves()}
		leaf, ok, err := h.from.next()
		if !ok {
			h.from.close()
		} else {
			h.leaf = leaf
			m.heads = append(m.heads, h)
		}
		if err != nil {
			return m, err
		}
	}
	heap.Init(m)
	return m, nil
}

// next gives the next leaf, as checkpoint.RootOfSet asks for it.
func (m *merged) next() (checkpoint.Leaf, bool, error) {
	if len(m.heads) == 0 {
		return checkpoint.Leaf{}, false, nil
	}
	first := &m.heads[0]
	leaf := first.leaf
	next, ok, err := first.from.next()
	if err != nil {
		return checkpoint.Leaf{}, false, err
	}
	if ok {
		first.leaf = next
		heap.Fix(m, 0)
	} else {
		first.from.close()
		heap.Pop(m)
	}
	return leaf, true, nil
}

func (m *merged) close() {
	for _, h := range m.heads {
		h.from.close()
	}
}

// Len, Less, Swap, Push and Pop make a heap of the heads.
func (m *merged) Len() int { return len(m.heads) }

// Less orders by index.
func (m *merged) Less(i, j int) bool { return m.heads[i].leaf.Index < m.heads[j].leaf.Index }

// Swap swaps two.
func (m *merged) Swap(i, j int) { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }

// Push is never called.
func (m *merged) Push(any) {}

// Pop takes the last one away.
func (m *merged) Pop() any {
	last := m.heads[len(m.heads)-1]
	m.heads = m.heads[:len(m.heads)-1]
	return last
}
