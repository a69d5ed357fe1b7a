package checkpoint

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a SHA-256: of a leaf, an inner node or a whole tree. Its String is base64.
type Hash = tlog.Hash

// MaxSize bounds the size of a log that this package reads: sizes are 63-bit numbers to those who calculate with them.
const MaxSize = 1 << 62

// strict is the only base64 of these formats that has one spelling for each value.
var strict = base64.StdEncoding.Strict()

// ErrMalformed says that something is not written as its format wants.
var ErrMalformed = errors.New("malformed")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// Checkpoint is the head of a log: tlog-checkpoint, without signatures.
type Checkpoint struct {
	Origin    string   // names the log; also the name of its key
	Size      uint64   // how many leaves
	Root      Hash     // of the tree over them
	Extension []string // further lines, not empty, that the log chose to sign; ours has none
}

// Text is what is signed.
func (c Checkpoint) Text() string {
	lines := append([]string{c.Origin, strconv.FormatUint(c.Size, 10), strict.EncodeToString(c.Root[:])}, c.Extension...)
	return strings.Join(lines, "\n") + "\n"
}

// Parse reads what Text writes, and no other spelling of it.
func Parse(text string) (Checkpoint, error) {
	body, whole := strings.CutSuffix(text, "\n")
	lines := strings.Split(body, "\n")
	if !whole || len(lines) < 3 {
		return Checkpoint{}, malformed("a checkpoint is a line each for origin, size and root")
	}
	c := Checkpoint{Origin: lines[0]}
	if !ValidName(c.Origin) {
		return Checkpoint{}, malformed("origin %q", c.Origin)
	}
	var err error
	if c.Size, err = parseNumber(lines[1]); err != nil {
		return Checkpoint{}, fmt.Errorf("size: %w", err)
	}
	if c.Root, err = ParseHash(lines[2]); err != nil {
		return Checkpoint{}, fmt.Errorf("root: %w", err)
	}
	for _, line := range lines[3:] {
		if line == "" || !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' }) {
			return Checkpoint{}, malformed("extension line %q", line)
		}
		c.Extension = append(c.Extension, line)
	}
	if c.Size == 0 && c.Root != EmptyRoot() {
		return Checkpoint{}, malformed("a log of size 0 has the root of the empty tree")
	}
	return c, nil
}

// ParseHash reads a hash in base64.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != strict.EncodedLen(len(h)) {
		return h, malformed("a hash is %d characters of base64", strict.EncodedLen(len(h)))
	}
	b, err := strict.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, malformed("a hash is %d bytes in standard base64", len(h))
	}
	return Hash(b), nil
}

// parseNumber reads a decimal without leading zeros, up to MaxSize.
func parseNumber(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != s || n > MaxSize {
		return 0, malformed("%.30q is not a number up to 2^62 in decimal without leading zeros", s)
	}
	return n, nil
}

// ValidName reports whether s can name a key or a log: not empty, no white space, no plus, at most 255 bytes.
func ValidName(s string) bool {
	return s != "" && len(s) <= 255 && utf8.ValidString(s) && !strings.Contains(s, "+") &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r < ' ' })
}
