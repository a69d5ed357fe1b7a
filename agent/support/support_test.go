package support

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	taplinev1 "tapline/proto/tapline/v1"
)

// unpack gives the text of each file of an archive.
func unpack(t *testing.T, b []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name] = string(text)
	}
	return all
}

func TestAnArchiveHoldsNoSecretAndNobody(t *testing.T) {
	in := Input{
		Build: "1.0", Made: time.Now(), Goroutines: true,
		Config: []byte("keystore: file\naccount_hook: [/usr/bin/set, --password, hunter2]\nproxy: https://anna:hunter2@proxy/\nadmin_token: hunter2\nnew: {api_key: hunter2, pin: 1234567}\n"),
		Status: &taplinev1.GetStatusResponse{
			Station:  "plant/packing/line-3/press-4",
			Presence: &taplinev1.Presence{Session: "s-1", Person: &taplinev1.Person{Id: "p-1001", DisplayName: "Anna B.", Roles: []string{"operator"}}},
		},
		Diagnostics: &taplinev1.GetDiagnosticsResponse{Log: []string{`{"msg":"tap"}`}, Metrics: "m 1\n", Goroutines: "goroutine profile"},
		Checks:      []string{"ok     clock"}, Journal: t.TempDir(),
	}
	var out bytes.Buffer
	files, err := Write(&out, in)
	if err != nil {
		t.Fatal(err)
	}
	all := unpack(t, out.Bytes())
	for name, text := range all {
		for _, secret := range []string{"hunter2", "1234567", "p-1001", "Anna", "anna"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s:\n%s", name, secret, text)
			}
		}
		if name != "LISTING.txt" && !strings.Contains(all["LISTING.txt"], name) {
			t.Errorf("LISTING.txt does not tell of %s", name)
		}
	}
	for name, want := range map[string]string{
		"config.yaml": "keystore: file", "status.json": "person-1-", "log.jsonl": "tap", "metrics.txt": "m 1", "goroutines.txt": "profile", "check.txt": "clock",
		"journal.json": "fault", "version.txt": "tapagent 1.0", "records.jsonl": "",
	} {
		if !strings.Contains(all[name], want) {
			t.Errorf("%s has no %q:\n%s", name, want, all[name])
		}
	}
	if len(files) != len(all) {
		t.Errorf("%d files are told of, %d are there", len(files), len(all))
	}
}

func TestAnAgentThatDoesNotAnswerIsNoHindrance(t *testing.T) {
	var out bytes.Buffer
	if _, err := Write(&out, Input{Made: time.Now(), Silent: errors.New("no agent answers")}); err != nil {
		t.Fatal(err)
	}
	if all := unpack(t, out.Bytes()); !strings.Contains(all["version.txt"], "no agent answers") || all["status.json"] != "" {
		t.Errorf("archive %v", all)
	}
}
