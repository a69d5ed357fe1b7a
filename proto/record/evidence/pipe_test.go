//go:build unix

package evidence_test

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tapline/proto/checkpoint"
	"tapline/proto/record/evidence"
)

// TestANamedPipeInEvidenceIsRefused puts a pipe in the place of each file, and into the folders only after they were opened, so that no check of the
// folder as a whole saves the reader of the file.
func TestANamedPipeInEvidenceIsRefused(t *testing.T) {
	verifyLog := func(_ string, all []evidence.Chain) error {
		key := checkpoint.LogKey("oslo/tapline/log/1", make(ed25519.PublicKey, ed25519.PublicKeySize))
		_, err := evidence.VerifyLog(t.Context(), all, evidence.LogOptions{Key: &key})
		return err
	}
	for name, read := range map[string]func(dir string, all []evidence.Chain) error{
		"trust.json": func(dir string, _ []evidence.Chain) error {
			_, err := evidence.ReadTrust(filepath.Join(dir, "trust.json"))
			return err
		},
		"log/" + evidence.LogStatementFile: func(dir string, _ []evidence.Chain) error { _, err := evidence.LogKey(dir, nil); return err },
		"log/" + evidence.CheckpointFile:   verifyLog,
		"log/" + evidence.ConsistencyFile: func(dir string, _ []evidence.Chain) error {
			_, err := evidence.ReadLogFile(dir, evidence.ConsistencyFile)
			return err
		},
		"CHAIN/" + evidence.StationFile: func(_ string, all []evidence.Chain) error { _, err := all[0].Statement(); return err },
		"CHAIN/" + evidence.ReceiptFile: func(_ string, all []evidence.Chain) error { _, err := all[0].Receipt(); return err },
		"CHAIN/" + evidence.LeavesFile:  func(dir string, _ []evidence.Chain) error { _, err := evidence.Open(dir); return err },
		"CHAIN/" + evidence.RecordsFile: func(_ string, all []evidence.Chain) error {
			for _, err := range all[0].Records() {
				return err
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, chain := golden(t)
			all, err := evidence.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, name)
			if in, ok := strings.CutPrefix(name, "CHAIN/"); ok {
				path = filepath.Join(chain, in)
			}
			if err := errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Dir(path), 0o700), syscall.Mkfifo(path, 0o600)); err != nil {
				t.Fatal(err)
			}
			said := make(chan error, 1)
			var reader sync.WaitGroup
			reader.Go(func() { said <- read(dir, all) })
			select {
			case err := <-said:
				if !errors.Is(err, evidence.ErrIrregular) || !strings.Contains(err.Error(), filepath.Base(path)) {
					t.Errorf("got %v, want %v with the path", err, evidence.ErrIrregular)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("whoever reads it waits for ever")
			}
		})
	}
}
