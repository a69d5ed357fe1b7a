package broker

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	taplinev1 "tapline/proto/tapline/v1"
)

// TestABrokerOnAFullDiskSaysSo fills a real file system, and empties it again.
func TestABrokerOnAFullDiskSaysSo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs: root")
	}
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=24m,mode=0700"); err != nil {
		t.Skip("needs: the right to mount a tmpfs")
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	p := newPlantWith(t, func(c *Config) { c.Data, c.Store = filepath.Join(disk, "data"), "" })
	p.staff()
	if why := p.run.unready(t.Context()); why != "" {
		t.Fatalf("with room it is not ready: %s", why)
	}
	hog := filepath.Join(disk, "hog")
	_ = os.WriteFile(hog, make([]byte, 32<<20), 0o600) // fails when it has taken all
	refused := false
	for i := 0; !refused && i < 10_000; i++ { // what SQLite has set aside already takes some more
		_, err := p.admin.PutPerson(t.Context(), &taplinev1.PutPersonRequest{Person: &taplinev1.PersonEntry{
			Id: fmt.Sprintf("p-%d", 100+i), DisplayName: strings.Repeat("x", 100), Source: "local",
		}})
		refused = err != nil
	}
	if !refused {
		t.Fatal("everything fitted: the test shows nothing")
	}
	if why := p.run.unready(t.Context()); !strings.Contains(why, "no writes") {
		t.Errorf("on a full disk it is ready, or says %q", why)
	}
	serving := func(want healthpb.HealthCheckResponse_ServingStatus) func() bool {
		return func() bool {
			r, err := healthpb.NewHealthClient(p.conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
			return err == nil && r.GetStatus() == want
		}
	}
	p.until("gRPC health says that nobody is served", serving(healthpb.HealthCheckResponse_NOT_SERVING))
	p.must(os.Remove(hog))
	p.until("gRPC health says that all is well again", serving(healthpb.HealthCheckResponse_SERVING))
	if why := p.run.unready(t.Context()); why != "" {
		t.Errorf("with room again it is not ready: %s", why)
	}
	p.until("an alarm tells of what is over", func() bool { return p.alarms()["store-unwritten"] })
}

// TestHealthOverHTTP asks as an orchestrator does.
func TestHealthOverHTTP(t *testing.T) {
	p := newPlant(t)
	ask := func(path string) (int, string) {
		w := httptest.NewRecorder()
		p.run.metricsMux().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready"} {
		if code, says := ask(path); code != http.StatusOK || says != want {
			t.Errorf("%s: %d %q", path, code, says)
		}
	}
	p.stop()
	if code, says := ask("/readyz"); code != http.StatusServiceUnavailable || says != "the broker is stopping" {
		t.Errorf("once it stopped /readyz says %d %q", code, says)
	}
}
