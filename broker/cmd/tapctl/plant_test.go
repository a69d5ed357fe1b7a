package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker"
	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

// desk is an administrator's terminal before a real broker.
type desk struct {
	t        *testing.T
	identity string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "broker.yaml")
	text := fmt.Sprintf("listen: %q\ndata: %q\nhosts: [127.0.0.1]\nmetrics_listen: 127.0.0.1:0\nlog: {level: error}\n", address, filepath.Join(dir, "data"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := broker.LoadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	b, err := broker.New(ctx, cfg, broker.Options{Build: "test"})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	var running errgroup.Group
	running.Go(func() error { return b.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := running.Wait(); err != nil {
			t.Error(err)
		}
	})
	d := &desk{t: t, identity: filepath.Join(dir, "data", "admin")}
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if code, _, _ := d.run("", "status"); code == osservice.OK {
			return d
		}
		select {
		case <-again.C:
		case <-limit.C:
			t.Fatal("the broker does not answer")
		}
	}
}

// run types a command, with what stands on its standard input.
func (d *desk) run(in string, args ...string) (code osservice.ExitCode, out, errs string) {
	d.t.Helper()
	var o, e bytes.Buffer
	c := root(strings.NewReader(in), &o, &e)
	c.SetArgs(append(args, "--identity", d.identity))
	return osservice.Execute(d.t.Context(), c), o.String(), e.String()
}

// says runs a command that must end with a code, and wants each text in what it prints.
func (d *desk) says(code osservice.ExitCode, in, line string, texts ...string) string {
	d.t.Helper()
	got, out, errs := d.run(in, strings.Fields(line)...)
	if got != code {
		d.t.Fatalf("tapctl %s: %s, want %s\n%s%s", line, got, code, out, errs)
	}
	for _, text := range texts {
		if !strings.Contains(out+errs, text) {
			d.t.Errorf("tapctl %s does not say %q:\n%s%s", line, text, out, errs)
		}
	}
	return out
}

func TestAPersonnelOfficesDay(t *testing.T) {
	d := newDesk(t)
	d.says(osservice.OK, "", "shift put early --zone Europe/Berlin --window mon-fri/06:00-14:00", "mon,tue,wed,thu,fri/06:00-14:00 Europe/Berlin")
	d.says(osservice.OK, "", "shift list", "early")
	file := "id;display_name;roles;shifts;certifications;badge;badge_label\n" +
		"p-1;Anna B.;operator|setter;early;crane=2020-01-31;04A1B2C3;blue\np-1;;;;;h10301:12:345;white\np-2;Ben C.;operator;;;;\n"
	d.says(osservice.OK, file, "import - --dry-run", "p-1", "added", "2 added, 0 changed, 0 left, 0 unchanged (dry run")
	d.says(osservice.Refused, "", "person show p-1", "hint:")
	d.says(osservice.OK, file, "import -", "2 added")
	d.says(osservice.OK, "", "person show p-1", "Anna B.", "csv", "operator, setter", "early (o", "crane until", "LAPSED", "blue", "white", "active")
	d.says(osservice.OK, "", "person list", "crane (LAPSED)", "p-2")
	d.says(osservice.Refused, "id;roles;badge\np-3;;04\np-4;x\n", "import -", "-:2", "badge", "4 to 32 bytes", "-:3", "nothing was changed")
	d.says(osservice.OK, "id\np-1\n", "import - --dry-run --source-leavers=suspend -o json", `"left": 1`)
	d.says(osservice.OK, "id;display_name\np-1;Anna B.\n", "import - --source-leavers=suspend", "p-2", "left")
	d.says(osservice.OK, "", "person list", "left 20")
	badge := d.says(osservice.OK, "", "badge temporary p-1 --uid 04D4E5F6 --for 2h", "is lent to p-1 until")
	id := strings.Fields(badge)[1]
	d.says(osservice.OK, "", "badge lost "+id, "is lost")
	d.says(osservice.OK, "", "badge list --person p-1", "lost")
	d.says(osservice.OK, "", "badge found "+id, "good again")
	d.says(osservice.OK, "", "badge return "+id, "is returned")
	d.says(osservice.OK, "", "badge list --person p-1", "revoked: returned")
	old := strings.Fields(d.says(osservice.OK, "", "badge assign p-2 --number h10301:7:8"))[1]
	d.says(osservice.OK, "", "badge replace "+old+" --uid 04000001 --at-once")
	d.says(osservice.OK, "", "badge list --person p-2", "revoked: replaced", "active")
	d.says(osservice.Refused, "", "shift delete early", "p-1 has the shift")
	d.says(osservice.OK, "", "scim token create entra --days 30", "tapscim_")
	d.says(osservice.OK, "", "scim token list", "entra", "active")
	d.says(osservice.OK, "", "badge requests", "SHOWN BY")
	d.says(osservice.Refused, "", "badge approve 0193b2c4-7d1e-7a00-8000-0123456789ab", "not found")
}

// taps is an administrator's service where a badge is tapped at the third look.
type taps struct {
	taplinev1.AdminServiceClient
	looks int
}

func (s *taps) ListRefusedTaps(_ context.Context, req *taplinev1.ListRefusedTapsRequest, _ ...grpc.CallOption) (*taplinev1.ListRefusedTapsResponse, error) {
	s.looks++
	r := &taplinev1.ListRefusedTapsResponse{BrokerTime: timestamppb.New(time.Unix(1_800_000_000, 0))}
	if s.looks >= 3 && req.GetAfter().GetSeconds() == 1_800_000_000 {
		r.Taps = []*taplinev1.RefusedTap{{Code: "BBBBBB"}, {Code: "AAAAAA"}}
	}
	return r, nil
}

func TestTheNextTapIsTheFirstAfterTheWaitBegan(t *testing.T) {
	tap, err := nextTap(t.Context(), client{admin: &taps{}}, "a/b/c/d", 20*time.Second)
	if err != nil || tap.GetCode() != "AAAAAA" {
		t.Errorf("got %v, %v", tap, err)
	}
	_, err = nextTap(t.Context(), client{admin: &taps{looks: -1000}}, "a/b/c/d", 50*time.Millisecond)
	if osservice.CodeOf(err) != osservice.Refused || !strings.Contains(err.Error(), "no new badge") {
		t.Errorf("got %v", err)
	}
}

// TestWhatTheBrokerCannotKeepIsRefused with what to do about it, and with the name by which the broker's log knows the call.
func TestWhatTheBrokerCannotKeepIsRefused(t *testing.T) {
	d := newDesk(t)
	d.says(osservice.Refused, "", "token create plant/press/line-4/hmi-1", "nobody has put plant/press/line-4/hmi-1", "tapctl station put", "--new", "hint: ", "(request ")
	d.says(osservice.OK, "", "token create plant/press/line-4/hmi-1 --new", "tl1.")
	d.says(osservice.OK, "", "station put plant/press/line-4/hmi-2")
	d.says(osservice.OK, "", "token create plant/press/line-4/hmi-2", "tl1.")
	d.says(osservice.Refused, "", "account put press --driver ldap", "account.driver", "set ldap", "(request ")
	d.says(osservice.OK, "", "account put press --driver local")
	d.says(osservice.Refused, "", "export "+filepath.Join(t.TempDir(), "e")+" --station x", "(request ")
}

func TestAPolicyThatIsShownIsTheOneInForce(t *testing.T) {
	d := newDesk(t)
	text := d.says(osservice.OK, "", "policy show", "by")
	path := file(t, "shown.cedar", text)
	var shown struct {
		Text    string `json:"text"`
		Version string `json:"version"`
	}
	if err := json.Unmarshal([]byte(d.says(osservice.OK, "", "policy show -o json")), &shown); err != nil || shown.Text != text {
		t.Errorf("%v: the file of it is another text:\n%s\nwant\n%s", err, text, shown.Text)
	}
	d.says(osservice.OK, "", "policy check "+path, shown.Version)
}
