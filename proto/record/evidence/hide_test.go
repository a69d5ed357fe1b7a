package evidence_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"tapline/proto/record"
	"tapline/proto/record/evidence"
)

// golden copies the good test vectors and gives the copy and the folder of its first chain.
func golden(t *testing.T) (dir, chain string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "evidence")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "testdata", "vectors", "good"))); err != nil {
		t.Fatal(err)
	}
	chains, err := evidence.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, chains[0].Dir
}

func TestAChainDoesNotHideBehindALink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs: symbolic links without special rights")
	}
	dir, chain := golden(t)
	aside := filepath.Join(t.TempDir(), "aside")
	if err := errors.Join(os.Rename(chain, aside), os.Symlink(aside, chain)); err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.Open(dir); !errors.Is(err, evidence.ErrIrregular) {
		t.Errorf("got %v, want %v", err, evidence.ErrIrregular)
	}
}

func TestAChainWhoseFilesAreGoneIsMissed(t *testing.T) {
	dir, chain := golden(t)
	files, err := os.ReadDir(chain)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Remove(filepath.Join(chain, f.Name())); err != nil {
			t.Fatal(err)
		}
	}
	chains, err := evidence.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	findings, err := evidence.Verify(t.Context(), chains, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Chain.Dir == chain {
			if f.Fault == nil || f.Fault.Kind != record.FaultStatementMissing {
				t.Errorf("got %v, want %v", f.Fault, record.FaultStatementMissing)
			}
			return
		}
	}
	t.Error("the emptied chain was not looked at")
}
