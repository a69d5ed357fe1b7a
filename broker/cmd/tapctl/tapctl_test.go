package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

// run runs a command line and returns what it printed.
func run(t *testing.T, args ...string) (code osservice.ExitCode, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	c := root(strings.NewReader(""), &o, &e)
	c.SetArgs(args)
	return osservice.Execute(t.Context(), c), o.String(), e.String()
}

func TestCommandLinesThatAreWrongSayHowToGoOn(t *testing.T) {
	for name, row := range map[string]struct {
		args []string
		code osservice.ExitCode
		says string
	}{
		"a noun that is not there":      {[]string{"persons"}, osservice.Usage, "unknown command"},
		"a verb that is not there":      {[]string{"person", "putt"}, osservice.Usage, `unknown command "putt"`},
		"an argument too few":           {[]string{"token", "create"}, osservice.Usage, "accepts 1 arg(s)"},
		"a flag that is not there":      {[]string{"person", "list", "--al"}, osservice.Usage, "unknown flag"},
		"a flag that is needed":         {[]string{"alarm", "close", "a-1"}, osservice.Usage, "note"},
		"a badge that ends in the past": {[]string{"badge", "assign", "p-1", "--uid", "04", "--for", "-5h"}, osservice.Usage, "before it begins"},
		"no time to answer":             {[]string{"status", "--timeout", "0s"}, osservice.Usage, "timeout"},
		"a broker without a port":       {[]string{"status", "--broker", "garbage"}, osservice.Usage, "host:port"},
		"no word which badge":           {[]string{"badge", "assign", "p-1"}, osservice.Usage, "uid"},
		"two badges at once":            {[]string{"badge", "assign", "p-1", "--uid", "04", "--text", "x"}, osservice.Usage, "uid"},
		"a UID that is not hex":         {[]string{"badge", "assign", "p-1", "--uid", "zz"}, osservice.Usage, "hex"},
		"an output nobody knows":        {[]string{"status", "-o", "xml"}, osservice.Usage, "table or json"},
		"a mode nobody knows":           {[]string{"station", "put", "s", "--mode", "open"}, osservice.Usage, "attribute, gate, lock, signin"},
		"a time that is none":           {[]string{"who", "s", "--at", "noon"}, osservice.Usage, "RFC 3339"},
		"a leaf that is no number":      {[]string{"log", "prove", "first"}, osservice.Usage, "want a number"},
		"a size that is nowhere":        {[]string{"log", "consistency", "/nonexistent"}, osservice.Usage, "no such file"},
		"a checkpoint that is nowhere":  {[]string{"export", "out", "--since", "/nonexistent"}, osservice.Usage, "no such file"},
		"no identity folder":            {[]string{"status", "--identity", "/nonexistent"}, osservice.Config, "identity folder"},
		"a what-if of no days":          {[]string{"policy", "what-if", "/dev/null", "--days", "0"}, osservice.Usage, "--days 0"},
		"a zone of a mode nobody knows": {[]string{"zone", "put", "z", "--mode", "open"}, osservice.Usage, "attribute, gate, lock, signin"},
		"cases that are missing":        {[]string{"policy", "test", "/dev/null"}, osservice.Usage, "cases"},
		"a policy file that is missing": {[]string{"policy", "check", "/nonexistent"}, osservice.Usage, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, said := run(t, row.args...)
			if code != row.code || !strings.Contains(said, row.says) {
				t.Errorf("got %s, want %q (%s):\n%s", code, row.says, row.code, said)
			}
			if !strings.Contains(said, "hint: ") {
				t.Errorf("no hint:\n%s", said)
			}
		})
	}
}

func TestEveryCommandTeaches(t *testing.T) {
	code, out, _ := run(t, "--help")
	if code != osservice.OK || !strings.Contains(out, "A first station in five lines") {
		t.Errorf("help does not teach (%s):\n%s", code, out)
	}
}

func TestUIDsAreTakenInAnySpelling(t *testing.T) {
	want := []byte("uid\x0032\x00\x04\xa1\xb2\xc3")
	for _, uid := range []string{"04A1B2C3", "04a1b2c3", "04:A1:B2:C3", "04 a1 b2 c3", "04-A1-B2-C3"} {
		f := badgeFlags{uid: uid}
		r, err := f.request("p-1", time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, r.GetBadge().GetNumber()); d != "" {
			t.Errorf("%s: %s", uid, d)
		}
	}
}

func TestNamesFromADirectoryCannotDriveTheTerminal(t *testing.T) {
	got := clean("Anna\x1b[2J\nB.\u009b")
	if strings.ContainsAny(got, "\x1b\n\u009b") {
		t.Errorf("got %q", got)
	}
}

func TestAListingThatRepeatsItselfEnds(t *testing.T) {
	_, err := pages(func(string) ([]int, string, error) { return []int{1}, "same", nil })
	if err == nil {
		t.Error("an endless listing was read to its end")
	}
}

// script is an export that sends what it was given.
type script []*taplinev1.ExportResponse

func (s *script) Recv() (*taplinev1.ExportResponse, error) {
	if len(*s) == 0 {
		return nil, io.EOF
	}
	r := (*s)[0]
	*s = (*s)[1:]
	return r, nil
}

func TestAnExportStaysInItsFolder(t *testing.T) {
	for _, path := range []string{"../evil", "/etc/evil", "a/../../evil", "", "."} {
		dir := filepath.Join(t.TempDir(), "out")
		s := script{{Path: path, Data: []byte("x")}}
		if _, _, err := receive(&s, dir, io.Discard); err == nil {
			t.Errorf("path %q was written", path)
		}
	}
}

func TestAnExportIsWrittenWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	s := script{
		{Path: "trust.json", Data: []byte("{}")},
		{Path: "stations/a/records.jsonl", Data: []byte("one\n")},
		{Path: "stations/a/records.jsonl", Data: []byte("two\n")},
	}
	files, bytes, err := receive(&s, dir, io.Discard)
	if err != nil || files != 2 || bytes != 10 {
		t.Fatalf("got %d files, %d bytes, %v", files, bytes, err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "stations", "a", "records.jsonl"))
	if err != nil || string(got) != "one\ntwo\n" {
		t.Errorf("got %q, %v", got, err)
	}
	again := script{{Path: "trust.json"}}
	if _, _, err := receive(&again, dir, io.Discard); osservice.CodeOf(err) != osservice.Usage {
		t.Errorf("a second export into the same folder: %v", err)
	}
}
