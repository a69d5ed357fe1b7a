package localapi

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// station is one where Anna is.
type station struct {
	ended  chan string
	shown  chan *taplinev1.WatchPresenceResponse
	failed error // what EndSession answers; nil for its own answer
}

func (s *station) Presence() *taplinev1.Presence {
	return &taplinev1.Presence{
		Session: "s1", State: taplinev1.PresenceState_PRESENCE_STATE_NAMED, Account: "press",
		Person: &taplinev1.Person{Id: "p-1001", DisplayName: "Anna B.", Language: "pl", Roles: []string{"operator"}},
		Second: &taplinev1.Person{Id: "p-1001", DisplayName: "Ben C."},
	}
}

func (s *station) Watch(ctx context.Context) <-chan *taplinev1.WatchPresenceResponse {
	ch := make(chan *taplinev1.WatchPresenceResponse, 1)
	ch <- &taplinev1.WatchPresenceResponse{Presence: s.Presence()}
	var watching sync.WaitGroup
	watching.Go(func() {
		defer close(ch)
		for {
			select {
			case c := <-s.shown:
				ch <- c
			case <-ctx.Done():
				return
			}
		}
	})
	return ch
}

func (s *station) EndSession(_ context.Context, id string) error {
	if s.failed != nil {
		return s.failed
	}
	if id != "s1" {
		return wire.E(wire.NotFound, "session %s is not in force", id)
	}
	s.ended <- id
	return nil
}

func (s *station) ClaimBadge(_ context.Context, req *taplinev1.ClaimBadgeRequest) (*taplinev1.ClaimBadgeResponse, error) {
	return &taplinev1.ClaimBadgeResponse{Person: "of " + req.GetCode()}, nil
}

func (s *station) EnterPin(_ context.Context, tap, pin string) (*taplinev1.Decision, error) {
	if tap != "t1" {
		return nil, wire.E(wire.NotFound, "no tap %s waits for a PIN: tap again", tap)
	}
	return &taplinev1.Decision{Allowed: pin == "2468"}, nil
}

func (s *station) Status() *taplinev1.GetStatusResponse {
	return &taplinev1.GetStatusResponse{Station: "a/b/c/d", KeyStore: "in a drawer"}
}

func (s *station) IssueToken(_ context.Context, _ *taplinev1.IssueTokenRequest, uid int, _ bool) (*taplinev1.IssueTokenResponse, error) {
	return &taplinev1.IssueTokenResponse{Token: strconv.Itoa(uid)}, nil
}

func (s *station) TokenKeys() (string, error) { return "{}", nil }

func (s *station) SignAction(_ context.Context, req *taplinev1.SignActionRequest) (*taplinev1.SignActionResponse, error) {
	return &taplinev1.SignActionResponse{Envelope: req.GetDigest(), Meaning: req.GetMeaning()}, nil
}

func (s *station) BeginEmergency(_ context.Context, reason string) (*taplinev1.BeginEmergencyResponse, error) {
	return &taplinev1.BeginEmergencyResponse{Emergency: "e-" + reason}, nil
}

func (s *station) ClaimEmergency(_ context.Context, req *taplinev1.ClaimEmergencyRequest) (*taplinev1.ClaimEmergencyResponse, error) {
	if req.GetEmergency() != "e-alarm" {
		return nil, wire.E(wire.NotFound, "no such emergency")
	}
	return &taplinev1.ClaimEmergencyResponse{Missing: 2}, nil
}

func (s *station) FetchSecret(context.Context, string) (*taplinev1.FetchSecretResponse, error) {
	return &taplinev1.FetchSecretResponse{}, nil
}

func (s *station) Diagnostics() (*taplinev1.GetDiagnosticsResponse, error) {
	return &taplinev1.GetDiagnosticsResponse{}, nil
}

func (s *station) Authorize(context.Context, string) (*taplinev1.AuthorizeResponse, error) {
	return &taplinev1.AuthorizeResponse{}, nil
}

func (s *station) AttachHelper(_ context.Context, _ int, receive func() (*taplinev1.AttachHelperRequest, error), _ func(*taplinev1.AttachHelperResponse) error) error {
	_, err := receive()
	return err
}

func (s *station) Reload(context.Context) (*taplinev1.ReloadResponse, error) {
	return &taplinev1.ReloadResponse{}, nil
}

func serve(t testing.TB) (path string, s *station) {
	t.Helper()
	path, s, _ = serveWith(t, Config{})
	return path, s
}

// serveWith serves on a socket of its own, with what else cfg says.
func serveWith(t testing.TB, cfg Config) (path string, s *station, server *Server) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tapline") // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "s")
	s = &station{ended: make(chan string, 1), shown: make(chan *taplinev1.WatchPresenceResponse)}
	cfg.Socket, cfg.Station, cfg.Log = path, s, zap.NewNop()
	server = New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(serving.Wait)
	t.Cleanup(cancel)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if conn, err := net.Dial("unix", path); err == nil {
			_ = conn.Close()
			break
		}
	}
	for cfg.Listen != "" && server.Address() == "" {
		<-tick.C
	}
	return path, s, server
}

func dial(t testing.TB, path string) taplinev1.LocalServiceClient {
	t.Helper()
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return taplinev1.NewLocalServiceClient(conn)
}

func TestTheAgentsOwnAccountMayAllThatThereIs(t *testing.T) {
	path, s := serve(t)
	c := dial(t, path)
	if st, err := c.GetStatus(t.Context(), &taplinev1.GetStatusRequest{}); err != nil || st.GetStation() != "a/b/c/d" {
		t.Errorf("status %v, %v", st, err)
	}
	if _, err := c.EndSession(t.Context(), &taplinev1.EndSessionRequest{Session: "s1"}); err != nil || <-s.ended != "s1" {
		t.Errorf("end: %v", err)
	}
	for _, tt := range []struct {
		name string
		do   func() error
		want wire.Kind
	}{
		{"a session that is over", func() error {
			_, err := c.EndSession(t.Context(), &taplinev1.EndSessionRequest{Session: "s0"})
			return err
		}, wire.NotFound},
		{"no session named", func() error {
			_, err := c.EndSession(t.Context(), &taplinev1.EndSessionRequest{})
			return err
		}, wire.Invalid},
		{"a sign-in that names no account", func() error {
			_, err := c.Authorize(t.Context(), &taplinev1.AuthorizeRequest{})
			return err
		}, wire.Invalid},
	} {
		if err := tt.do(); wire.KindOf(err) != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestAWatchBeginsWithThePresentState(t *testing.T) {
	path, _ := serve(t)
	stream, err := dial(t, path).WatchPresence(t.Context(), &taplinev1.WatchPresenceRequest{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil || first.GetPresence().GetSession() != "s1" {
		t.Errorf("got %v, %v", first, err)
	}
}

func TestASocketThatIsServedIsLeftAlone(t *testing.T) {
	path, s := serve(t)
	if err := New(Config{Socket: path, Station: s, Log: zap.NewNop()}).Run(t.Context()); err == nil {
		t.Error("a second agent took the socket")
	}
	if _, err := dial(t, path).WhoIsHere(t.Context(), &taplinev1.WhoIsHereRequest{}); err != nil {
		t.Errorf("the first one does not answer any more: %v", err)
	}
}

// strangerSocket makes this test binary the stranger when it is set.
const strangerSocket = "TAPLINE_STRANGER_SOCKET"

// TestStranger is not a test of its own: it is what TestAnotherAccount runs as another account.
func TestStranger(t *testing.T) {
	path := os.Getenv(strangerSocket)
	if path == "" {
		return
	}
	c := dial(t, path)
	if _, err := c.WhoIsHere(t.Context(), &taplinev1.WhoIsHereRequest{}); err != nil {
		t.Errorf("a stranger may ask who is here, got %v", err)
	}
	if e, err := c.BeginEmergency(t.Context(), &taplinev1.BeginEmergencyRequest{Reason: "alarm"}); err != nil || e.GetEmergency() != "e-alarm" {
		t.Errorf("a stranger may open the station, got %v, %v", e, err)
	}
	if e, err := c.ClaimEmergency(t.Context(), &taplinev1.ClaimEmergencyRequest{Emergency: "e-alarm"}); err != nil || e.GetMissing() != 2 {
		t.Errorf("a stranger may have it claimed, got %v, %v", e, err)
	}
	if st, err := c.GetStatus(t.Context(), &taplinev1.GetStatusRequest{}); err != nil || !st.GetLimited() || st.GetKeyStore() != "" {
		t.Errorf("status: %v, %v, want the outline alone", st, err)
	}
	if _, err := c.EndSession(t.Context(), &taplinev1.EndSessionRequest{Session: "s1"}); wire.KindOf(err) != wire.Denied {
		t.Errorf("end: %v, want denied", err)
	}
	if _, err := c.Reload(t.Context(), &taplinev1.ReloadRequest{}); wire.KindOf(err) != wire.Denied {
		t.Errorf("reload: %v, want denied", err)
	}
}

func TestAnotherAccountMayOnlyAskWhoIsHere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs: root, to become another account")
	}
	path, _ := serve(t)
	me, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(filepath.Dir(path), "stranger")
	if err := os.WriteFile(binary, me, 0o755); err != nil { //nolint:gosec // another account runs it
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.run=TestStranger$", "-test.v")
	cmd.Dir = filepath.Dir(path)
	cmd.Env = []string{strangerSocket + "=" + path}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as another account: %v\n%s", err, out)
	}
}
