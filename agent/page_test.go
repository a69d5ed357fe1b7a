package agent

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"tapline/agent/localapi"
)

// TestTheStationsPageTellsWhoIsHere: through the real loopback listener, from the page's first look to an emergency that was begun on it.
func TestTheStationsPageTellsWhoIsHere(t *testing.T) {
	p := newPress(t)
	l := listen(t, "127.0.0.1:0")
	address := "http://" + l.Addr().String()
	p.cfg.Web.Listen, p.cfg.Web.Language = l.Addr().String(), "pl"
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	p.start()
	p.connected()

	var page string
	p.until("the page", func() bool {
		resp, err := http.Get(address + "/")
		if err != nil {
			return false
		}
		defer resp.Body.Close() //nolint:errcheck // read to its end
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Fatalf("the page's policy is %q", policy)
		}
		page = string(body)
		return resp.StatusCode == http.StatusOK
	})
	if !strings.Contains(page, `lang="pl"`) || !strings.Contains(page, "Przyłóż identyfikator") || !strings.Contains(page, `http-equiv="refresh"`) {
		t.Errorf("the page is\n%s", page)
	}
	token := regexp.MustCompile(`name="tapline-token" content="([^"]+)"`).FindStringSubmatch(page)
	if token == nil {
		t.Fatal("the page has no token")
	}
	for _, name := range regexp.MustCompile(`/panel/assets/[^"]+`).FindAllString(page, -1) {
		resp, err := http.Get(address + name)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %s, %s", name, resp.Status, resp.Header.Get("Cache-Control"))
		}
	}

	stream, err := http.Get(address + "/panel/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close() //nolint:errcheck // it has no end
	events := bufio.NewReader(stream.Body)
	shows := func(kind, text string) {
		t.Helper()
		for {
			line, err := events.ReadString('\n')
			if err != nil {
				t.Fatalf("the stream ended before it showed %s: %v", kind, err)
			}
			var m struct {
				Kind  string
				Parts map[string]string
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok && json.Unmarshal([]byte(data), &m) == nil && m.Kind == kind {
				if !strings.Contains(m.Parts["stage"], text) {
					t.Errorf("%s shows\n%s", kind, m.Parts["stage"])
				}
				return
			}
		}
	}
	shows("idle", "Przyłóż")
	p.tap("left", "ann")
	shows("named", "ANN")

	for _, row := range []struct {
		token string
		want  int
	}{{"", http.StatusForbidden}, {token[1], http.StatusOK}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/api/v1/emergency", strings.NewReader(`{"reason":"alarm"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(localapi.TokenHeader, row.token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != row.want {
			t.Errorf("an emergency with the token %q: %s, want %d", row.token, resp.Status, row.want)
		}
	}
	shows("emergency", "Awaria")
}
