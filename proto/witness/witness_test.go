package witness

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tapline/proto/checkpoint"
)

func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("tapline test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

const origin = "oslo/tapline/log/1"

func logKey() checkpoint.Key {
	return checkpoint.LogKey(origin, keyOf("log").Public().(ed25519.PublicKey))
}

// history is a log in memory; another word gives another history from a leaf on.
type history struct {
	*checkpoint.Builder
	tiles map[string][]byte
}

func newHistory(t testing.TB, n, from int, word string) *history {
	t.Helper()
	b, err := checkpoint.NewBuilder(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := &history{b, map[string][]byte{}}
	for i := range n {
		data := fmt.Sprintf("leaf %d", i)
		if i >= from {
			data += word
		}
		h.Append(checkpoint.LeafHash([]byte(data)))
		for _, tile := range h.Take() {
			h.tiles[fmt.Sprint(tile.Level, tile.Index)] = tile.Hashes
		}
	}
	return h
}

// request asks for a cosignature of a size.
func (h *history) request(t testing.TB, old, size uint64, key ed25519.PrivateKey) []byte {
	t.Helper()
	r := checkpoint.NewReader(func(level int, index uint64) ([]byte, error) { return h.tiles[fmt.Sprint(level, index)], nil })
	root, err := r.Root(size)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := checkpoint.Sign(checkpoint.Checkpoint{Origin: origin, Size: size, Root: root}, key)
	if err != nil {
		t.Fatal(err)
	}
	x := checkpoint.Extension{Old: old, Checkpoint: signed}
	if old <= size {
		if x.Path, err = r.ProveConsistency(old, size); err != nil {
			t.Fatal(err)
		}
	}
	return x.Text()
}

func at() time.Time { return time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC) }

func newWitness(t testing.TB, dir string, alarm func(string, string)) *Witness {
	t.Helper()
	seed := sha256.Sum256([]byte("witness"))
	k, err := NewKey("witness.example", seed[:])
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(k, []checkpoint.Key{logKey()}, dir, at, alarm)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestAWitnessCosignsOneHistoryAndNoOther(t *testing.T) {
	dir := t.TempDir()
	var alarms []string
	w := newWitness(t, dir, func(_, what string) { alarms = append(alarms, what) })
	good, other := newHistory(t, 40, 40, ""), newHistory(t, 40, 5, " of another history")
	rows := []struct {
		name    string
		request []byte
		status  int
		says    string
		alarms  int
	}{
		{"the first", good.request(t, 0, 10, keyOf("log")), 200, "— witness.example ", 0},
		{"the same again", good.request(t, 10, 10, keyOf("log")), 200, "— witness.example ", 0},
		{"one that begins too early", good.request(t, 5, 20, keyOf("log")), 409, "10\n", 0},
		{"one that begins at nothing again", good.request(t, 0, 20, keyOf("log")), 409, "10\n", 0},
		{"a smaller one", good.request(t, 5, 9, keyOf("log")), 409, "10\n", 0},
		{"two roots for a size", other.request(t, 10, 10, keyOf("log")), 409, "10\n", 1},
		{"another history", other.request(t, 10, 20, keyOf("log")), 422, "proof", 2},
		{"the next", good.request(t, 10, 20, keyOf("log")), 200, "— witness.example ", 2},
		{"a forger", good.request(t, 20, 30, keyOf("forger")), 403, "not signed", 2},
		{"old above the size", bytes.Replace(good.request(t, 0, 20, keyOf("log")), []byte("old 0"), []byte("old 21"), 1), 400, "old", 2},
		{"no request", []byte("hello\n"), 400, "old", 2},
		{"another log", bytes.ReplaceAll(good.request(t, 20, 30, keyOf("log")), []byte(origin), []byte("bergen")), 404, "bergen", 2},
		{"more than a request may have", bytes.Repeat([]byte("x"), MaxRequest+1), 400, "too long", 2},
	}
	for i, row := range rows {
		if i == 7 { // it remembers over a restart
			w = newWitness(t, dir, w.alarm)
		}
		r := httptest.NewRecorder()
		w.ServeHTTP(r, httptest.NewRequest(http.MethodPost, "/some/prefix"+Path, bytes.NewReader(row.request)))
		if r.Code != row.status || !strings.Contains(r.Body.String(), row.says) || len(alarms) != row.alarms {
			t.Errorf("%s: %d %q, want %d with %q; alarms %q", row.name, r.Code, r.Body, row.status, row.says, alarms)
		}
		if row.status == 409 && r.Header().Get("Content-Type") != SizeType {
			t.Errorf("%s: content type %q", row.name, r.Header().Get("Content-Type"))
		}
		if row.status == 200 {
			x, err := checkpoint.ParseExtension(row.request)
			if err != nil {
				t.Fatal(err)
			}
			s, err := checkpoint.Open(append(x.Checkpoint, r.Body.Bytes()...), logKey(), w.key.Verifier())
			if err != nil || len(s.Cosignatures) != 1 || !s.Cosignatures[0].At.Equal(at()) {
				t.Errorf("%s: %+v, %v", row.name, s, err)
			}
		}
	}
	if kept, err := filepath.Glob(filepath.Join(dir, "*.fork-*")); err != nil || len(kept) == 0 {
		t.Errorf("kept %v, %v: a fork must be kept", kept, err)
	}
	r := httptest.NewRecorder()
	w.ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/", nil))
	if !strings.Contains(r.Body.String(), origin+" 20 ") {
		t.Errorf("it tells %q", r.Body)
	}
}

// Of many requests at once that contradict one another, one history is cosigned.
// Anybody who has a checkpoint can send it with a wrong way to it; that must not use up the room for what proves a fork.
func TestWrongProofsDoNotCrowdOutAProofOfAFork(t *testing.T) {
	dir, second := t.TempDir(), 0
	w := newWitness(t, dir, func(string, string) {})
	w.now = func() time.Time { second++; return at().Add(time.Duration(second) * time.Second) }
	good, other := newHistory(t, 60, 60, ""), newHistory(t, 60, 5, " of another history")
	if _, err := w.Add(good.request(t, 0, 10, keyOf("log"))); err != nil {
		t.Fatal(err)
	}
	for size := range uint64(2 * keptForks) {
		if _, err := w.Add(other.request(t, 10, 11+size, keyOf("log"))); err == nil {
			t.Fatal("another history was cosigned")
		}
	}
	proof := other.request(t, 10, 10, keyOf("log"))
	if _, err := w.Add(proof); err == nil {
		t.Fatal("another root was cosigned")
	}
	kept, err := filepath.Glob(filepath.Join(dir, "*.fork-*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %v, %v", kept, err)
	}
	if b, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(b, proof) {
		t.Errorf("what is kept is not the proof: %v", err)
	}
	if open, err := filepath.Glob(filepath.Join(dir, "*.unproven-*")); err != nil || len(open) != keptForks {
		t.Errorf("%d unproven ones are kept, %v", len(open), err)
	}
}

func TestARaceOfTwoHistoriesHasOneWinner(t *testing.T) {
	w := newWitness(t, t.TempDir(), func(string, string) {})
	two := []*history{newHistory(t, 40, 0, "a"), newHistory(t, 40, 0, "b")}
	won := make([]int, 2)
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range 40 {
		request := two[i%2].request(t, 0, uint64(10+i/2), keyOf("log"))
		all.Go(func() {
			if _, err := w.Add(request); err == nil {
				mu.Lock()
				won[i%2]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if won[0]+won[1] != 1 {
		t.Errorf("%d and %d were cosigned as the first, want one", won[0], won[1])
	}
}

func TestAKeyIsMadeOnceAndBelongsToItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "witness.key")
	if _, err := LoadKey(path, ""); err == nil {
		t.Error("a key without a name was made")
	}
	made, err := LoadKey(path, "witness.example")
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadKey(path, "")
	if err != nil || again.Verifier().String() != made.Verifier().String() {
		t.Errorf("got %v, %v", again.Verifier(), err)
	}
	if _, err := LoadKey(path, "another.example"); err == nil {
		t.Error("the key was taken for another name's")
	}
	if _, err := LoadKey(path, "a b"); err == nil {
		t.Error("a name with a blank was taken")
	}
}

func FuzzARequestIsAnsweredOrRefused(f *testing.F) {
	h := newHistory(f, 20, 20, "")
	f.Add(h.request(f, 0, 10, keyOf("log")))
	f.Add([]byte("old 0\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWitness(t, t.TempDir(), func(string, string) {})
		_, err := w.Add(b)
		if r := (refusal{}); err != nil && !errors.As(err, &r) {
			t.Errorf("%v is a fault of the witness", err)
		}
	})
}
