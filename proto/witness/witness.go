package witness

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tapline/proto/checkpoint"
)

// Path is where a checkpoint is submitted, below whatever prefix the witness is served under.
const Path = "/add-checkpoint"

// SizeType is the content type of an answer that says how far the witness has seen the log.
const SizeType = "text/x.tlog.size"

// MaxRequest bounds a request in bytes.
const MaxRequest = checkpoint.MaxSigned + 64*64

// Witness cosigns. It is safe for concurrent use.
type Witness struct {
	key   Key
	logs  map[string][]checkpoint.Key // by origin
	now   func() time.Time
	alarm func(origin, what string)

	mu    sync.Mutex // held from the look at what was seen until the new is durable
	state state
}

// New makes a witness of logs that keeps what it has seen in the folder dir. alarm is told when a log forks.
func New(key Key, logs []checkpoint.Key, dir string, now func() time.Time, alarm func(origin, what string)) (*Witness, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("witness's folder: %w", err)
	}
	w := &Witness{key: key, logs: map[string][]checkpoint.Key{}, now: now, alarm: alarm, state: state{dir}}
	for _, k := range logs {
		if !k.IsLog() {
			return nil, fmt.Errorf("%s is the key of a witness, not of a log", k)
		}
		w.logs[k.Name()] = append(w.logs[k.Name()], k)
		if _, err := w.state.last(k.Name()); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// refusal is an answer that is no cosignature.
type refusal struct {
	status int
	says   string
	size   *uint64 // how far the log was seen
}

func (r refusal) Error() string { return r.says }

func refuse(status int, format string, args ...any) error {
	return refusal{status: status, says: fmt.Sprintf(format, args...)}
}

// Add answers a request: signature lines for the checkpoint in it.
func (w *Witness) Add(request []byte) ([]byte, error) {
	x, err := checkpoint.ParseExtension(request)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	c, err := checkpoint.Read(x.Checkpoint)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	keys := w.logs[c.Origin]
	if len(keys) == 0 {
		return nil, refuse(http.StatusNotFound, "this witness does not know the log %s", c.Origin)
	}
	signed := func(k checkpoint.Key) bool {
		_, err := checkpoint.Open(x.Checkpoint, k)
		return err == nil
	}
	if !slices.ContainsFunc(keys, signed) {
		return nil, refuse(http.StatusForbidden, "not signed by the key of %s", c.Origin)
	}
	if x.Old > c.Size {
		return nil, refuse(http.StatusBadRequest, "old: %d, and the checkpoint has %d", x.Old, c.Size)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.extend(request, x, c)
}

// extend holds the checkpoint to what was seen, and makes it what was seen.
func (w *Witness) extend(request []byte, x checkpoint.Extension, c checkpoint.Checkpoint) ([]byte, error) {
	last, err := w.state.last(c.Origin)
	if err != nil {
		return nil, err
	}
	if x.Old != last.Size {
		return nil, refusal{http.StatusConflict, fmt.Sprintf("seen up to %d", last.Size), &last.Size}
	}
	if c.Size == last.Size && c.Root != last.Root {
		w.forked(provenFork, request, c, "two roots for one size")
		return nil, refusal{http.StatusConflict, "another root was seen for this size", &last.Size}
	}
	if err := checkpoint.CheckConsistency(last.Size, last.Root, c.Size, c.Root, x.Path); err != nil {
		w.forked(openFork, request, c, "a log that is not shown to continue the one that was seen")
		return nil, refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	if c.Size != last.Size || c.Size == 0 {
		if err := w.state.keep(c.Origin, x.Checkpoint); err != nil {
			return nil, err
		}
	}
	return checkpoint.Cosign(c, w.key.Name, w.key.private, w.now())
}

func (w *Witness) forked(kind string, request []byte, c checkpoint.Checkpoint, what string) {
	what = fmt.Sprintf("size %d: %s", c.Size, what)
	if err := w.state.contradicts(c.Origin, kind, request, w.now()); err != nil {
		what += fmt.Sprintf(" (could not be kept: %v)", err)
	}
	w.alarm(c.Origin, what)
}

// ServeHTTP serves add-checkpoint, and tells a person who asks for anything else which logs are witnessed.
func (w *Witness) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, Path) {
		w.tell(out, r)
		return
	}
	if r.Method != http.MethodPost {
		out.Header().Set("Allow", http.MethodPost)
		http.Error(out, "POST a checkpoint", http.StatusMethodNotAllowed)
		return
	}
	request, err := io.ReadAll(http.MaxBytesReader(out, r.Body, MaxRequest))
	if err != nil {
		http.Error(out, "the request is too long or breaks off", http.StatusBadRequest)
		return
	}
	lines, err := w.Add(request)
	if err == nil {
		out.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = out.Write(lines)
		return
	}
	no := refusal{status: http.StatusInternalServerError, says: "the witness cannot keep what it sees"}
	if !errors.As(err, &no) {
		w.alarm("", err.Error())
	}
	if no.size != nil {
		out.Header().Set("Content-Type", SizeType)
		out.WriteHeader(no.status)
		_, _ = io.WriteString(out, strconv.FormatUint(*no.size, 10)+"\n")
		return
	}
	http.Error(out, no.says, no.status)
}

func (w *Witness) tell(out http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" || r.Method != http.MethodGet {
		http.NotFound(out, r)
		return
	}
	out.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(out, "witness %s\n", w.key.Verifier())
	for origin := range w.logs {
		c, err := w.state.last(origin)
		if err != nil {
			fmt.Fprintf(out, "%s cannot be read\n", origin)
			continue
		}
		fmt.Fprintf(out, "%s %d %s\n", origin, c.Size, c.Root)
	}
}
