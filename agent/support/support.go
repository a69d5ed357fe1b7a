// Package support gathers what a technician sends to those who help: one archive that says how a station is, without secrets and without people.
//
// The command tapagent calls it with what it has asked of the running agent and read from the disk, and nobody else. Each file is made from a list of
// what may be in it, never from all that there is with something taken out: of records come the heads, of people a pseudonym that is another in each
// archive. LISTING.txt in the archive says what each file holds, so that whoever sends it can look first. It sends nothing itself.
package support

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	taplinev1 "tapline/proto/tapline/v1"
)

// Input is what there is. All but Made may be missing: an archive of an agent that does not run has fewer files.
type Input struct {
	Build string
	Made  time.Time
	// Config is the configuration in force, as YAML.
	Config []byte
	// Status and Diagnostics are the running agent's answers; nil when it does not answer, and Silent says why.
	Status      *taplinev1.GetStatusResponse
	Diagnostics *taplinev1.GetDiagnosticsResponse
	Silent      error
	// Checks are the lines of "tapagent check".
	Checks []string
	// Journal is the journal's folder.
	Journal string
	// Goroutines says whether the profile of goroutines goes in.
	Goroutines bool
}

// File is one file of the archive.
type File struct {
	Name, About string
	Data        []byte
}

// Write writes the archive, a zip file, and returns what is in it.
func Write(out io.Writer, in Input) ([]File, error) {
	files, err := gather(in)
	if err != nil {
		return nil, fmt.Errorf("gather: %w", err)
	}
	files = append([]File{listing(in, files)}, files...)
	z := zip.NewWriter(out)
	for _, f := range files {
		w, err := z.CreateHeader(&zip.FileHeader{Name: f.Name, Method: zip.Deflate, Modified: in.Made})
		if err == nil {
			_, err = w.Write(f.Data)
		}
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", f.Name, err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("write archive: %w", err)
	}
	return files, nil
}

func gather(in Input) ([]File, error) {
	names := newPseudonyms()
	files := []File{{"version.txt", "versions of agent, Go, system", version(in)}}
	add := func(name, about string, data []byte) { files = append(files, File{name, about, data}) }
	if len(in.Config) > 0 {
		config, err := redact(in.Config)
		if err != nil {
			return nil, err
		}
		add("config.yaml", "configuration in force, defaults included; secrets and arguments of programs left out", config)
	}
	if in.Status != nil {
		status, err := protojson.MarshalOptions{Multiline: true, UseProtoNames: true}.Marshal(withoutPeople(in.Status, names))
		if err != nil {
			return nil, err
		}
		add("status.json", "how the agent is, as \"tapagent status -o json\"; people by pseudonym", status)
	}
	if len(in.Checks) > 0 {
		add("check.txt", "what \"tapagent check\" found: files, keys, enrolment, readers, brokers, clock", lines(in.Checks))
	}
	if d := in.Diagnostics; d != nil {
		add("log.jsonl", "last lines of the agent's log; it names nobody", lines(d.GetLog()))
		add("metrics.txt", "metrics in the format of Prometheus", []byte(d.GetMetrics()))
		if in.Goroutines {
			add("goroutines.txt", "what the agent's goroutines do: functions and lines, no values", []byte(d.GetGoroutines()))
		}
	}
	if in.Journal != "" {
		files = append(files, journalFiles(in.Journal, names)...)
	}
	return files, nil
}

func lines(all []string) []byte {
	if len(all) == 0 {
		return nil
	}
	return []byte(strings.Join(all, "\n") + "\n")
}

func version(in Input) []byte {
	text := fmt.Sprintf("tapagent %s\n%s %s/%s\nmade %s\n", in.Build, runtime.Version(), runtime.GOOS, runtime.GOARCH, in.Made.Format(time.RFC3339))
	if in.Silent != nil {
		text += "the agent does not answer: " + in.Silent.Error() + "\n"
	}
	return []byte(text + system())
}

// listing is the file that says what is in the archive.
func listing(in Input, files []File) File {
	var b bytes.Buffer
	fmt.Fprintf(&b, "What a Tapline station sends to those who help, made %s.\n\n", in.Made.Format(time.RFC3339))
	for _, f := range files {
		fmt.Fprintf(&b, "%-16s %7d bytes  %s\n", f.Name, len(f.Data), f.About)
	}
	b.WriteString(`
Not in it: badge numbers and references of them, PINs, keys, tokens, secrets of accounts, names and IDs of people, notes
that people wrote, what was signed in applications. A person is a pseudonym (person-1) that is the same within this
archive and another in the next one. In it: names of the station, its readers, its brokers, its shared account, and
when records were made.
`)
	return File{"LISTING.txt", "this list", b.Bytes()}
}

// pseudonyms give each person a number, in the order in which they come.
type pseudonyms struct{ of map[string]string }

func newPseudonyms() *pseudonyms { return &pseudonyms{map[string]string{}} }

func (p *pseudonyms) name(id string) string {
	if id == "" {
		return ""
	}
	if p.of[id] == "" {
		p.of[id] = fmt.Sprintf("person-%d-%s", len(p.of)+1, strings.ToLower(rand.Text()[:4]))
	}
	return p.of[id]
}

// withoutPeople is a status whose people, wherever they stand in it, are pseudonyms.
func withoutPeople(s *taplinev1.GetStatusResponse, names *pseudonyms) *taplinev1.GetStatusResponse {
	out := proto.CloneOf(s)
	hide(out.ProtoReflect(), names)
	return out
}

func hide(m protoreflect.Message, names *pseudonyms) {
	if p, ok := m.Interface().(*taplinev1.Person); ok {
		id := names.name(p.GetId())
		proto.Reset(p)
		p.Id = id
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			m.Clear(f) // no status has one; what a later one holds is not known here
		case f.Message() != nil && f.IsList():
			for i := range v.List().Len() {
				hide(v.List().Get(i).Message(), names)
			}
		case f.Message() != nil:
			hide(v.Message(), names)
		case f.Kind() == protoreflect.StringKind && !f.IsList() && strings.Contains(string(f.Name()), "person"):
			m.Set(f, protoreflect.ValueOfString(names.name(v.String())))
		}
		return true
	})
}
