package ledger_test

import (
	"bufio"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"tapline/proto/ledger"
)

// startChild runs the test binary as an appender in home, under the given command if there is one. Whoever starts it waits for it.
func startChild(t *testing.T, home string, under ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(under, self)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), childDir+"="+home)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, bufio.NewReader(out)
}

// holdsAll opens the ledger in home and checks that all of acked is there, under its index, and nothing twice.
func holdsAll(t *testing.T, home string, acked map[ledger.Index]string) {
	t.Helper()
	l, _, err := ledger.Open(home, ledger.Options{SegmentSize: 64 << 10, MaxEntry: 1024, Reserve: 8192})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got, err := read(l)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range acked {
		if got[i] != want {
			t.Errorf("acknowledged entry %d is %q, want %q", i, got[i], want)
		}
	}
	there := map[string]ledger.Index{}
	for i, s := range got {
		if j, twice := there[s]; twice {
			t.Errorf("entry %q is there twice, as %d and %d", s, i, j)
		}
		there[s] = i
	}
}

// TestKill kills an appender twenty times in the middle of its work, each time a new one goes on in the same ledger.
func TestKill(t *testing.T) {
	home := filepath.Join(t.TempDir(), "journal")
	acked := map[ledger.Index]string{}
	loops := 20
	if testing.Short() {
		loops = 3
	}
	for n := range loops {
		c := childTale{acked: acked}
		before := len(acked) / 2
		cmd, out := startChild(t, home)
		enough := before + 1 + rand.IntN(60)
		c.listen(out, func(acks int) {
			if acks >= enough || len(c.wrong) > 0 {
				cmd.Process.Kill()
			}
		})
		cmd.Wait() // killed, so it is an error
		if len(c.wrong) > 0 || len(acked)/2 < enough {
			t.Fatalf("child %d acknowledged %d calls, want %d; it said %q", n, len(acked)/2-before, enough-before, c.wrong)
		}
		holdsAll(t, home, acked)
	}
	t.Logf("%d kills, %d entries acknowledged, none lost", loops, len(acked))
}
