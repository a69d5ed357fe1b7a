package record_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapline/proto/record"
	"tapline/proto/record/evidence"
)

var update = flag.Bool("update", false, "write the test vectors anew")

const vectors = "testdata/vectors"

// expectation is expect.json of a folder of bad evidence. The folder has just the files that differ from those in good; Without are the files of
// good that the forger took away.
type expectation struct {
	Does    string           `json:"does"`
	Station record.StationID `json:"station"`
	Chain   record.ChainID   `json:"chain"`
	Seq     record.Seq       `json:"seq"`
	Reason  record.FaultKind `json:"reason"`
	Without []string         `json:"without,omitempty"`
}

// verify gives the first fault of the evidence in dir, and how many records were good.
func verify(t testing.TB, dir string) (*record.Fault, uint64) {
	t.Helper()
	chains, err := evidence.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	findings, err := evidence.Verify(context.Background(), chains, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var first *record.Fault
	var n uint64
	for _, f := range findings {
		n += f.Records
		if first == nil {
			first = f.Fault
		}
	}
	return first, n
}

func TestGoldenEvidenceIsGood(t *testing.T) {
	dir := t.TempDir()
	golden(t).store(t, dir)
	fault, n := verify(t, dir)
	if fault != nil || n != 35 {
		t.Errorf("got fault %v and %d good records, want none and 35", fault, n)
	}
}

// Every way to cheat is found and named, and leads to the vector that is stored.
func TestTamperingIsFoundAndNamed(t *testing.T) {
	names := map[string]bool{}
	for _, c := range tamperings() {
		if names[c.name] {
			t.Fatalf("two cases are named %s", c.name)
		}
		names[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			w := golden(t)
			id := w.chains[c.chain].id
			c.corrupt(t, w)
			dir := t.TempDir()
			w.store(t, dir)
			fault, _ := verify(t, dir)
			if fault == nil {
				t.Fatalf("who %s is not found", c.does)
			}
			got := expectation{c.does, fault.Station, fault.Chain, fault.Seq, fault.Kind, nil}
			want := expectation{c.does, id.Station, id.Chain, c.seq, c.kind, nil}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("who %s (-want +got):\n%s%v", c.does, d, fault)
			}
			compare(t, overlay(t, dir, want), filepath.Join(vectors, "bad", c.name))
		})
	}
	stored, err := os.ReadDir(filepath.Join(vectors, "bad"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range stored {
		if !names[d.Name()] {
			t.Errorf("%s is stored and no longer a case", d.Name())
		}
	}
}

// Every kind of fault has a case, so that a new one cannot be forgotten.
func TestEveryKindOfFaultHasACase(t *testing.T) {
	elsewhere := map[record.FaultKind]string{
		record.FaultEpochOverfull: "TestEpochThatIsTooFull, as it takes 1,024 records",
	}
	seen := map[record.FaultKind]bool{}
	for _, c := range tamperings() {
		seen[c.kind] = true
	}
	source, err := os.ReadFile("fault.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range strings.Split(string(source), "\n") {
		_, word, ok := strings.Cut(l, `FaultKind = "`)
		if !ok {
			continue
		}
		n++
		kind := record.FaultKind(word[:strings.Index(word, `"`)])
		if !seen[kind] && elsewhere[kind] == "" {
			t.Errorf("no case for %s", kind)
		}
	}
	if n < 24 {
		t.Errorf("found %d kinds of fault in fault.go, want at least 24", n)
	}
}

func TestStoredGoldenEvidence(t *testing.T) {
	dir := t.TempDir()
	golden(t).store(t, dir)
	compare(t, files(t, dir), filepath.Join(vectors, "good"))
}

// What the broker's writer writes is the stored evidence, byte for byte.
func TestWriterWritesTheGoldenEvidence(t *testing.T) {
	w, dir := golden(t), filepath.Join(t.TempDir(), "evidence")
	out, err := evidence.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := record.ParseTrust([]byte(w.trust))
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Trust(trust); err != nil {
		t.Fatal(err)
	}
	for _, c := range w.chains {
		cw, err := out.Chain(parse(t, c.statement))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.records {
			if err := cw.Append([]byte(r)); err != nil {
				t.Fatal(err)
			}
		}
		if err := cw.Receipt(parse(t, c.receipt)); err != nil {
			t.Fatal(err)
		}
		if err := cw.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(files(t, filepath.Join(vectors, "good")), files(t, dir)); d != "" {
		t.Error(d)
	}
}

// One record taken apart, for whoever writes a verifier of their own.
func TestStoredWalkThrough(t *testing.T) {
	c := golden(t).chains[line]
	e := c.entry(t, 3)
	walk := map[string]string{
		"1_seed_hex":    hex.EncodeToString(epochKey(c.id.Chain, 1).Seed()),
		"2_public_key":  c.id.FirstKey.String(),
		"3_keyid":       c.id.FirstKey.ID(),
		"4_payload":     string(e.Envelope.PayloadBytes()),
		"5_pae_hex":     hex.EncodeToString(e.Envelope.PAE()),
		"6_hash":        e.Envelope.Hash().String(),
		"7_envelope":    string(e.Envelope.Bytes()),
		"8_next_prev":   c.entry(t, 4).Payload.Prev.String(),
		"9_broker_seed": hex.EncodeToString(key("broker").Seed()),
	}
	b, err := json.MarshalIndent(walk, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, map[string]string{"record.json": string(b) + "\n"}, filepath.Join(vectors, "walk"))
}

// overlay is what makes bad evidence of the good, with expect.json.
func overlay(t *testing.T, dir string, want expectation) map[string]string {
	t.Helper()
	clean := t.TempDir()
	golden(t).store(t, clean)
	good, bad := files(t, clean), files(t, dir)
	for name, content := range good {
		switch _, there := bad[name]; {
		case !there:
			want.Without = append(want.Without, name)
		case bad[name] == content:
			delete(bad, name)
		}
	}
	slices.Sort(want.Without)
	b, err := json.MarshalIndent(want, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	bad["expect.json"] = string(b) + "\n"
	return bad
}

// compare compares files with the stored ones, or with -update stores them.
func compare(t *testing.T, got map[string]string, want string) {
	t.Helper()
	if *update {
		if err := os.RemoveAll(want); err != nil {
			t.Fatal(err)
		}
		for name, content := range got {
			storeFile(t, filepath.Join(want, name), content)
		}
	}
	if d := cmp.Diff(files(t, want), got); d != "" {
		t.Errorf("%s differs; go test -update writes it anew (-stored +made):\n%s", want, d)
	}
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		found[filepath.ToSlash(name)] = string(b)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return found
}

func parse(t testing.TB, raw string) record.Envelope {
	t.Helper()
	e, err := record.ParseEnvelope([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return e
}
