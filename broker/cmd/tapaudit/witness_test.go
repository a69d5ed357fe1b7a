package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tapline/proto/checkpoint"
	"tapline/proto/witness"
)

// running is tapaudit witness, started by a test; stop ends it and gives its status and what it said.
type running struct {
	key  checkpoint.Key
	url  string
	stop func() (int, string)
}

func startWitness(t *testing.T, args ...string) running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	var errs bytes.Buffer
	var all sync.WaitGroup
	code := -1
	all.Go(func() {
		code = run(ctx, append([]string{"witness", "--listen", "127.0.0.1:0"}, args...), write, &errs)
		_ = write.Close()
	})
	stopped := false
	stop := func() (int, string) {
		if !stopped {
			stopped = true
			cancel()
			_ = read.Close()
			all.Wait()
		}
		return code, errs.String()
	}
	t.Cleanup(func() { stop() })
	r := running{stop: stop}
	lines := bufio.NewScanner(read)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch rest = strings.TrimSpace(rest); word {
		case "witness":
			k, err := checkpoint.ParseKey(rest)
			if err != nil {
				t.Fatal(err)
			}
			r.key = k
		case "listening":
			r.url = rest
			return r
		}
	}
	_, said := stop()
	t.Fatalf("the witness did not start: %v, %s", lines.Err(), said)
	return r
}

func (r running) submit(t *testing.T, request checkpoint.Extension) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+witness.Path, bytes.NewReader(request.Text()))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, body
}

func TestAWitnessThatIsStartedAgainRemembersKeyAndLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	tree := newTestTree()
	for i := range 30 {
		tree.add([]byte{byte(i)})
	}
	request := func(old, size uint64, history []byte) checkpoint.Extension {
		root, err := tree.reader().Root(size)
		if err != nil {
			t.Fatal(err)
		}
		if history != nil {
			root = checkpoint.LeafHash(history)
		}
		signed, err := checkpoint.Sign(checkpoint.Checkpoint{Origin: origin, Size: size, Root: root}, testKey("log"))
		if err != nil {
			t.Fatal(err)
		}
		path, err := tree.reader().ProveConsistency(old, size)
		if err != nil {
			t.Fatal(err)
		}
		return checkpoint.Extension{Old: old, Path: path, Checkpoint: signed}
	}
	first := startWitness(t, "--name", "auditor.example/oslo", "--log", logKey().String(), "--state", dir)
	x := request(0, 10, nil)
	status, lines := first.submit(t, x)
	s, err := checkpoint.Open(append(x.Checkpoint, lines...), logKey(), first.key)
	if status != http.StatusOK || err != nil || len(s.Cosignatures) != 1 {
		t.Fatalf("%d %q: %+v, %v", status, lines, s, err)
	}
	if code, said := first.stop(); code != exitGood || said != "" {
		t.Errorf("it ended with %d: %s", code, said)
	}
	again := startWitness(t, "--log", logKey().String(), "--state", dir)
	if again.key.String() != first.key.String() {
		t.Errorf("its key is %s, and was %s", again.key, first.key)
	}
	if status, lines := again.submit(t, request(10, 20, []byte("another history"))); status != http.StatusUnprocessableEntity {
		t.Errorf("a fork: %d %q", status, lines)
	}
	if status, lines := again.submit(t, request(10, 30, nil)); status != http.StatusOK {
		t.Errorf("the next: %d %q", status, lines)
	}
	if code, said := again.stop(); code != exitGood || !strings.Contains(said, "ALARM: "+origin) {
		t.Errorf("it ended with %d: %s", code, said)
	}
}
