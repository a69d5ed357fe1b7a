package checkpoint

import (
	"fmt"
	"strconv"
	"strings"
)

// proofHeader is the first line of a tlog-proof.
const proofHeader = "c2sp.org/tlog-proof@v1"

// maxPath bounds the hashes of a proof: a tree has no more levels.
const maxPath = 63

// Proof says in one file that a record is in a log (C2SP tlog-proof). Who has it, the record, and the log's key needs nothing else.
type Proof struct {
	Index      uint64
	Path       []Hash
	Checkpoint []byte // signed
	Extra      []byte // whatever the maker adds; nobody vouches for it
}

// Text is the file.
func (p Proof) Text() []byte {
	var b strings.Builder
	b.WriteString(proofHeader + "\n")
	if len(p.Extra) > 0 {
		b.WriteString("extra " + strict.EncodeToString(p.Extra) + "\n")
	}
	b.WriteString("index " + strconv.FormatUint(p.Index, 10) + "\n")
	writePath(&b, p.Path)
	b.Write(p.Checkpoint)
	return []byte(b.String())
}

// writePath writes a line for each hash and an empty one.
func writePath(b *strings.Builder, path []Hash) {
	for _, h := range path {
		b.WriteString(strict.EncodeToString(h[:]) + "\n")
	}
	b.WriteString("\n")
}

// ParseProof reads what Text writes, and no other spelling of it.
func ParseProof(text []byte) (Proof, error) {
	rest, is := strings.CutPrefix(string(text), proofHeader+"\n")
	if !is {
		return Proof{}, malformed("a proof begins with the line %s", proofHeader)
	}
	var p Proof
	line, rest, _ := strings.Cut(rest, "\n")
	if encoded, is := strings.CutPrefix(line, "extra "); is {
		extra, err := strict.DecodeString(encoded)
		if err != nil || len(extra) == 0 || strings.ContainsAny(encoded, "\r") {
			return Proof{}, malformed("extra: not base64")
		}
		p.Extra = extra
		line, rest, _ = strings.Cut(rest, "\n")
	}
	number, is := strings.CutPrefix(line, "index ")
	if !is {
		return Proof{}, malformed("no line with the index")
	}
	var err error
	if p.Index, err = parseNumber(number); err != nil {
		return Proof{}, fmt.Errorf("index: %w", err)
	}
	p.Path, p.Checkpoint, err = readPath(rest)
	return p, err
}

// readPath reads what writePath wrote, and the checkpoint behind it.
func readPath(text string) ([]Hash, []byte, error) {
	var path []Hash
	for {
		line, rest, found := strings.Cut(text, "\n")
		switch {
		case !found:
			return nil, nil, malformed("no empty line behind the hashes")
		case line == "":
			if _, err := Read([]byte(rest)); err != nil {
				return nil, nil, err
			}
			return path, []byte(rest), nil
		case len(path) == maxPath:
			return nil, nil, malformed("more than %d hashes", maxPath)
		}
		h, err := ParseHash(line)
		if err != nil {
			return nil, nil, fmt.Errorf("hash %d: %w", len(path)+1, err)
		}
		path, text = append(path, h), rest
	}
}

// Check checks that data is the leaf that the proof is for, and gives the checkpoint that says so.
func (p Proof) Check(data []byte, log Key, witnesses ...Key) (Signed, error) {
	s, err := Open(p.Checkpoint, log, witnesses...)
	if err != nil {
		return Signed{}, err
	}
	return s, CheckInclusion(s.Size, s.Root, p.Index, LeafHash(data), p.Path)
}

// Extension says in one file that the log of a checkpoint continues the log of an older size. It is what a log asks a witness to cosign (the body of
// C2SP tlog-witness's add-checkpoint), and what lies in evidence that goes on from earlier evidence.
type Extension struct {
	Old        uint64
	Path       []Hash
	Checkpoint []byte // signed
}

// Text is the file.
func (e Extension) Text() []byte {
	var b strings.Builder
	b.WriteString("old " + strconv.FormatUint(e.Old, 10) + "\n")
	writePath(&b, e.Path)
	b.Write(e.Checkpoint)
	return []byte(b.String())
}

// ParseExtension reads what Text writes, and no other spelling of it.
func ParseExtension(text []byte) (Extension, error) {
	line, rest, _ := strings.Cut(string(text), "\n")
	number, is := strings.CutPrefix(line, "old ")
	if !is {
		return Extension{}, malformed("the first line is not \"old SIZE\"")
	}
	var e Extension
	var err error
	if e.Old, err = parseNumber(number); err != nil {
		return Extension{}, fmt.Errorf("old: %w", err)
	}
	e.Path, e.Checkpoint, err = readPath(rest)
	return e, err
}
