package record_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"tapline/proto/record"
)

// No bit of a record can change: each is flipped, and the record must not verify in its place.
func TestNoBitOfARecordCanChange(t *testing.T) {
	for _, c := range golden(t).chains {
		for i := range c.records {
			head := c.head(t, i)
			raw := []byte(c.records[i])
			for bit := range 8 * len(raw) {
				if testing.Short() && bit%17 != 0 {
					continue
				}
				raw[bit/8] ^= 1 << (bit % 8)
				if _, _, err := record.CheckBatch(head, [][]byte{raw}, record.CheckAll); err == nil {
					t.Fatalf("%s record %d: bit %d was flipped and it verifies: %s", c.id.Station, i+1, bit, raw)
				}
				raw[bit/8] ^= 1 << (bit % 8)
			}
		}
	}
}

// No bit of what the broker signed can change.
func TestNoBitOfAStatementCanChange(t *testing.T) {
	w := golden(t)
	trust, err := record.ParseTrust([]byte(w.trust))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{w.chains[line].statement, w.chains[line].receipt} {
		raw := []byte(text)
		for bit := range 8 * len(raw) {
			raw[bit/8] ^= 1 << (bit % 8)
			if e, err := record.ParseEnvelope(raw); err == nil {
				_, err1 := trust.Station(e)
				_, err2 := trust.Receipt(e)
				if err1 == nil || err2 == nil {
					t.Fatalf("bit %d was flipped and it verifies: %s", bit, raw)
				}
			}
			raw[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// No byte of any file of an export can change, whatever file it is, if the broker's key is pinned.
func TestNoByteOfAFileCanChange(t *testing.T) {
	dir := t.TempDir()
	golden(t).store(t, dir)
	stride := 97
	if testing.Short() {
		stride = 997
	}
	var n int
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "trust.json" {
			return err
		}
		good, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i := n % stride; i < len(good); i += stride {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << (i % 8)
			storeFile(t, path, string(bad))
			if fault, _ := verify(t, dir); fault == nil {
				t.Errorf("byte %d of %s was changed and the evidence verifies", i, path)
			}
			n++
		}
		storeFile(t, path, string(good))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if fault, _ := verify(t, dir); fault != nil {
		t.Errorf("the evidence that was put back: %v", fault)
	}
	t.Logf("%d bytes changed", n)
}
