package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// asking is a station at which Ben's tap waits for a PIN, 2468.
type asking struct {
	taplinev1.UnimplementedLocalServiceServer
	locked bool
}

func (*asking) WatchPresence(_ *taplinev1.WatchPresenceRequest, s taplinev1.LocalService_WatchPresenceServer) error {
	for _, n := range []*taplinev1.Notice{nil, {
		Kind: taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED, Session: "t1", Person: &taplinev1.Person{Id: "p-ben", DisplayName: "Ben"},
	}} {
		if err := s.Send(&taplinev1.WatchPresenceResponse{Presence: &taplinev1.Presence{}, Notice: n}); err != nil {
			return err
		}
	}
	<-s.Context().Done()
	return nil
}

func (a *asking) EnterPin(_ context.Context, r *taplinev1.EnterPinRequest) (*taplinev1.EnterPinResponse, error) {
	d := &taplinev1.Decision{}
	switch {
	case r.GetSession() != "t1":
		return nil, wire.Status(wire.E(wire.NotFound, "no tap %s waits", r.GetSession()))
	case a.locked:
		d.Refusal, d.RetryAfter = taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_LOCKED, durationpb.New(time.Minute)
	case r.GetPin() == "2468":
		d.Allowed = true
	default:
		d.Refusal = taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG
	}
	return &taplinev1.EnterPinResponse{Decision: d}, nil
}

// serveAsking gives the configuration of a station.
func serveAsking(t *testing.T, a *asking) (config string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tapline") // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	taplinev1.RegisterLocalServiceServer(server, a)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })
	config = filepath.Join(dir, "agent.yaml")
	if err := os.WriteFile(config, []byte("state_dir: "+dir+"/state\nsocket: "+dir+"/s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

func TestAPINFromAScript(t *testing.T) {
	for _, row := range []struct {
		typed  string
		locked bool
		out    string
		err    string
	}{
		{"2468\n", false, "Ben is here\n", ""},
		{"2468", false, "Ben is here\n", ""},
		{"1111\n", false, "", "the PIN is wrong"},
		{"\n", false, "", "no PIN was given"},
		{"2468\n", true, "", "too many wrong PINs"},
	} {
		config := serveAsking(t, &asking{locked: row.locked})
		var out bytes.Buffer
		cmd := root()
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		cmd.SetArgs([]string{"pin", "--config", config})
		cmd.SetIn(strings.NewReader(row.typed))
		cmd.SetOut(&out)
		cmd.SetErr(&bytes.Buffer{})
		err := cmd.ExecuteContext(t.Context())
		if got := out.String(); got != row.out || (err == nil) != (row.err == "") || err != nil && err.Error() != row.err {
			t.Errorf("%q: %q, %v, want %q, %q", row.typed, got, err, row.out, row.err)
		}
		if row.locked && !strings.Contains(osservice.HintOf(err), "1m0s") {
			t.Errorf("the hint is %q", osservice.HintOf(err))
		}
	}
}

// TestAPINAtATerminal types a wrong and then the right one at a real terminal.
func TestAPINAtATerminal(t *testing.T) {
	config := serveAsking(t, &asking{})
	outer, inner, err := pty.Open()
	if err != nil {
		t.Skip("needs: a pseudo terminal")
	}
	defer outer.Close()
	defer inner.Close()
	var out, says bytes.Buffer
	cmd := root()
	cmd.SetArgs([]string{"pin", "--config", config})
	cmd.SetIn(inner)
	cmd.SetOut(&out)
	cmd.SetErr(&prompts{on: func() {
		_, _ = outer.WriteString([]string{"1357\n", "2468\n"}[min(1, strings.Count(says.String(), "PIN of"))])
	}, to: &says})
	if err := cmd.ExecuteContext(t.Context()); err != nil || out.String() != "Ben is here\n" {
		t.Errorf("says %q, %v", out.String(), err)
	}
	if !strings.Contains(says.String(), "the PIN is wrong") {
		t.Errorf("it says %q", says.String())
	}
}

// prompts types when it is asked.
type prompts struct {
	on func()
	to *bytes.Buffer
}

func (p *prompts) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("PIN of")) {
		p.on()
	}
	return p.to.Write(b)
}
