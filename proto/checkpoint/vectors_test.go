package checkpoint

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the test vectors anew")

// vectors are what another implementation can be held against; SPEC.md says how.
type vectors struct {
	LogKey     string      `json:"log_key"`
	WitnessKey string      `json:"witness_key"`
	Leaves     []string    `json:"leaves"` // their data, as text
	Roots      []string    `json:"roots"`  // of the trees with 0, 1, 2 ... leaves
	Checkpoint string      `json:"checkpoint"`
	Proof      string      `json:"proof"`     // that leaf 11 is in it
	Extension  string      `json:"extension"` // that it continues the log of 12 leaves
	Sets       []setVector `json:"sets"`
}

type setVector struct {
	Size    uint64   `json:"size"`
	Leaves  []uint64 `json:"leaves"`
	Between []string `json:"between"`
}

// vectorSize is the size of the log of the vectors: more than one tile.
const vectorSize = 300

func makeVectors(t *testing.T) vectors {
	t.Helper()
	log, w := LogKey("oslo/tapline/log", public(keyOf("log"))), WitnessKey("witness.example", public(keyOf("witness")))
	v := vectors{LogKey: log.String(), WitnessKey: w.String()}
	f := newForest(t, 0, 1)
	for i := range vectorSize + 1 {
		if i > 0 {
			v.Leaves = append(v.Leaves, fmt.Sprintf("leaf %d", i-1))
		}
		f.grow(t, uint64(i), 1)
		if i <= 20 || i >= 255 && i <= 258 || i == vectorSize {
			v.Roots = append(v.Roots, fmt.Sprintf("%d %v", i, mth(f.leaves)))
		}
	}
	c := Checkpoint{Origin: log.Name(), Size: vectorSize, Root: mth(f.leaves)}
	signed, err := Sign(c, keyOf("log"))
	must(t, err)
	line, err := Cosign(c, w.Name(), keyOf("witness"), time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC))
	must(t, err)
	signed = append(signed, line...)
	v.Checkpoint = string(signed)
	r := NewReader(f.source)
	path, err := r.ProveInclusion(vectorSize, 11)
	must(t, err)
	v.Proof = string(Proof{Index: 11, Path: path, Checkpoint: signed}.Text())
	path, err = r.ProveConsistency(12, vectorSize)
	must(t, err)
	v.Extension = string(Extension{Old: 12, Path: path, Checkpoint: signed}.Text())
	for _, set := range []setVector{
		{Size: vectorSize, Leaves: []uint64{}},
		{Size: vectorSize, Leaves: []uint64{11}},
		{Size: vectorSize, Leaves: []uint64{0, 3, 4, 255, 256, 299}},
		{Size: 13, Leaves: []uint64{12}},
		{Size: 5, Leaves: []uint64{0, 1, 2, 3, 4}},
	} {
		set.Between = []string{}
		must(t, r.ProveSet(set.Size, func(from uint64) (uint64, bool) {
			i, _ := slices.BinarySearch(set.Leaves, from)
			if i == len(set.Leaves) {
				return 0, false
			}
			return set.Leaves[i], true
		}, func(h Hash) error { set.Between = append(set.Between, h.String()); return nil }))
		v.Sets = append(v.Sets, set)
	}
	return v
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestVectors(t *testing.T) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	must(t, e.Encode(makeVectors(t)))
	path := filepath.Join("testdata", "vectors.json")
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(path, b.Bytes(), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s is not what is made now; a change of the formats needs a new version, go test -update writes it", path)
	}
}
