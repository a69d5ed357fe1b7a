package checkpoint

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// MaxSigned bounds a signed checkpoint in bytes: one with a hundred signatures is shorter.
const MaxSigned = 64 << 10

// ErrForged says that a checkpoint is not signed by the key of its log.
var ErrForged = errors.New("not signed by the log's key")

// Signed is a checkpoint whose signatures were checked.
type Signed struct {
	Checkpoint
	Cosignatures []Cosignature // of the witnesses that the caller knows
}

// Cosignature is one that was found good.
type Cosignature struct {
	Witness Key
	At      time.Time // as the witness says
	Line    []byte    // with its newline
}

// Open reads a signed checkpoint. The log's signature must be there and good, else the error wraps ErrForged; so must those of the witnesses that
// are given, where they are there. Signatures of others are passed over.
func Open(signed []byte, log Key, witnesses ...Key) (Signed, error) {
	c, err := Read(signed)
	if err != nil {
		return Signed{}, err
	}
	if !log.IsLog() || log.Name() != c.Origin {
		return Signed{}, fmt.Errorf("checkpoint of %s: %w, which is %s's", c.Origin, ErrForged, log.Name())
	}
	n, err := note.Open(signed, verifiers(slices.Concat(witnesses, []Key{log})))
	if err != nil {
		return Signed{}, fmt.Errorf("checkpoint of %s: %w: %w", c.Origin, ErrForged, err)
	}
	s := Signed{Checkpoint: c}
	vouched := false
	for _, sig := range n.Sigs {
		raw, err := base64.StdEncoding.DecodeString(sig.Base64)
		if err != nil {
			return Signed{}, malformed("signature of %s", sig.Name)
		}
		if sig.Name == log.Name() && sig.Hash == log.KeyHash() {
			vouched = true
			continue
		}
		for _, w := range witnesses {
			if w.Name() == sig.Name && w.KeyHash() == sig.Hash {
				at := time.Unix(int64(binary.BigEndian.Uint64(raw[4:])), 0).UTC()
				s.Cosignatures = append(s.Cosignatures, Cosignature{Witness: w, At: at, Line: line(w, raw[4:])})
			}
		}
	}
	if !vouched {
		return Signed{}, fmt.Errorf("checkpoint of %s: %w", c.Origin, ErrForged)
	}
	return s, nil
}

// Read reads a signed checkpoint without asking who signed it.
func Read(signed []byte) (Checkpoint, error) {
	text, _, found := cutLast(signed, []byte("\n\n"))
	if !found || len(signed) > MaxSigned {
		return Checkpoint{}, malformed("a signed checkpoint is its text, an empty line, and signatures")
	}
	c, err := Parse(string(text) + "\n")
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	return c, nil
}

// Cosignatures picks from signature lines, as a witness answers with them, those for the checkpoint that the witnesses made.
func Cosignatures(c Checkpoint, lines []byte, witnesses ...Key) ([]Cosignature, error) {
	n, err := note.Open(append([]byte(c.Text()+"\n"), lines...), verifiers(witnesses))
	if err != nil {
		return nil, fmt.Errorf("cosignature: %w", err)
	}
	var all []Cosignature
	for _, sig := range n.Sigs {
		raw, err := base64.StdEncoding.DecodeString(sig.Base64)
		if err != nil {
			return nil, malformed("cosignature of %s", sig.Name)
		}
		for _, w := range witnesses {
			if w.Name() == sig.Name && w.KeyHash() == sig.Hash && !w.IsLog() {
				at := time.Unix(int64(binary.BigEndian.Uint64(raw[4:])), 0).UTC()
				all = append(all, Cosignature{Witness: w, At: at, Line: line(w, raw[4:])})
			}
		}
	}
	return all, nil
}

// verifiers are keys as package note looks for them.
type verifiers []Key

// Verifier finds a key.
func (v verifiers) Verifier(name string, hash uint32) (note.Verifier, error) {
	for _, k := range v {
		if k.Name() == name && k.KeyHash() == hash {
			return k, nil
		}
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}

func cutLast(b, sep []byte) (before, after []byte, found bool) {
	i := bytes.LastIndex(b, sep)
	if i < 0 {
		return b, nil, false
	}
	return b[:i], b[i+len(sep):], true
}
