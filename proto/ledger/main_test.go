package ledger_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"tapline/proto/ledger"
)

// childDir, set in the environment, makes the test binary an appender that others kill and disturb.
const childDir = "LEDGER_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if home := os.Getenv(childDir); home != "" {
		child(home, 1500)
		return
	}
	if home := os.Getenv(childDir + "_50"); home != "" {
		child(home, 50)
		return
	}
	m.Run()
}

// child appends up to so many times, until it is killed or until it has told of three failures. It prints "ack INDEX TEXT" after each append that returned nil,
// "failed" after each that returned ErrFailed, and reopens then.
func child(home string, appends int) {
	l, _, err := ledger.Open(home, ledger.Options{SegmentSize: 64 << 10, MaxEntry: 1024, Reserve: 8192})
	if err != nil {
		fmt.Println("open", err)
		return
	}
	for n, failures := 0, 0; failures < 3 && n < appends; n++ {
		text := fmt.Sprintf("%d-%d", os.Getpid(), n)
		i, err := l.Append(context.Background(), []byte(text), []byte(text+"b"))
		switch {
		case err == nil:
			fmt.Println("ack", i, text)
		case errors.Is(err, ledger.ErrFailed):
			failures++
			fmt.Println("failed", err)
			if _, err := l.Append(context.Background(), []byte("must not be acknowledged")); !errors.Is(err, ledger.ErrFailed) {
				fmt.Println("wrong: append after a failure:", err)
			}
			if _, err := l.Reopen(); err != nil {
				fmt.Println("reopen", err)
				return
			}
		default:
			fmt.Println("wrong:", err)
			return
		}
	}
	fmt.Println("end")
}

// childTale is what a child said before it ended.
type childTale struct {
	acked    map[ledger.Index]string
	failures int
	ended    bool
	wrong    []string
}

// listen reads what a child prints; a last line without its end is not counted. After each line it calls heard with the number of acks.
func (c *childTale) listen(r *bufio.Reader, heard func(acks int)) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		switch words[0] {
		case "ack":
			i, err := strconv.ParseUint(words[1], 10, 64)
			if err != nil {
				c.wrong = append(c.wrong, line)
			}
			c.acked[ledger.Index(i)] = words[2]
			c.acked[ledger.Index(i)+1] = words[2] + "b"
		case "failed":
			c.failures++
		case "end":
			c.ended = true
		default:
			c.wrong = append(c.wrong, line)
		}
		heard(len(c.acked) / 2)
	}
}
