package localapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// page is the page of the tests, which shows the token alone.
func page(token string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, token) })
}

// browsed is a station with a page, and how a browser that has loaded it calls.
type browsed struct {
	t       testing.TB
	station *station
	server  *Server
	base    string
	token   string
}

func browse(t testing.TB) *browsed {
	t.Helper()
	_, s, server := serveWith(t, Config{Listen: "127.0.0.1:0", Page: page, Hosts: []string{"press-4.lan"}})
	b := &browsed{t: t, station: s, server: server, base: "http://" + server.Address()}
	_, b.token = b.call(http.MethodGet, "/", "")
	return b
}

// call is a request of the page, and what change does to it.
func (b *browsed) call(verb, path, body string, change ...func(*http.Request)) (code int, says string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), verb, b.base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if verb == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", b.base)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set(TokenHeader, b.token)
	}
	for _, c := range change {
		c(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if csp := resp.Header.Get("Content-Security-Policy"); csp != policy || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		b.t.Errorf("%s %s: policy %q", verb, path, csp)
	}
	return resp.StatusCode, string(all)
}

func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func host(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }

func TestThePageLearnsANameAndNothingElseOfAPerson(t *testing.T) {
	b := browse(t)
	code, says := b.call(http.MethodGet, "/api/v1/presence", "")
	if code != http.StatusOK || !strings.Contains(says, "Anna B.") {
		t.Fatalf("%d %s", code, says)
	}
	for _, private := range []string{"p-1001", "operator", `"press"`} {
		if strings.Contains(says, private) {
			t.Errorf("a browser is told %s: %s", private, says)
		}
	}
	if _, says := b.call(http.MethodGet, "/api/v1/status", ""); strings.Contains(says, "drawer") || !strings.Contains(says, "a/b/c/d") {
		t.Errorf("the status for a browser: %s", says)
	}
}

func TestWhatAPageOfOursDoesAndOthersCannot(t *testing.T) {
	b := browse(t)
	const end, body = "/api/v1/session/end", `{"session": "s1"}`
	for _, tt := range []struct {
		name       string
		verb, path string
		body       string
		change     []func(*http.Request)
		want       int
	}{
		{"the page ends the session", "POST", end, body, nil, 200},
		{"the page under a name of the configuration", "POST", end, body, []func(*http.Request){host("press-4.lan:8750"), set("Origin", "http://press-4.lan:8750")}, 200},
		{"a name that somebody's DNS points here", "GET", "/api/v1/presence", "", []func(*http.Request){host("evil.example")}, 403},
		{"a name that somebody's DNS points here, with our port", "GET", "/", "", []func(*http.Request){host("evil.example:8750")}, 403},
		{"a number that is not the loopback's", "GET", "/api/v1/presence", "", []func(*http.Request){host("10.0.0.1")}, 403},
		{"a name that begins like ours", "GET", "/", "", []func(*http.Request){host("localhost.evil.example")}, 403},
		{"a page of another site reads", "GET", "/api/v1/presence", "", []func(*http.Request){set("Sec-Fetch-Site", "cross-site")}, 403},
		{"a page of another port reads", "GET", "/api/v1/presence", "", []func(*http.Request){set("Sec-Fetch-Site", "same-site")}, 403},
		{"a page of another origin reads, in an old browser", "GET", "/api/v1/presence", "", []func(*http.Request){set("Origin", "http://evil.example")}, 403},
		{"another site puts our page into a frame", "GET", "/", "", []func(*http.Request){set("Sec-Fetch-Site", "cross-site"), set("Sec-Fetch-Mode", "navigate"), set("Sec-Fetch-Dest", "iframe")}, 403},
		{"a link of another site opens our page", "GET", "/", "", []func(*http.Request){set("Sec-Fetch-Site", "cross-site"), set("Sec-Fetch-Mode", "navigate"), set("Sec-Fetch-Dest", "document")}, 200},
		{"a link of another site opens the API", "GET", "/api/v1/presence", "", []func(*http.Request){set("Sec-Fetch-Site", "cross-site"), set("Sec-Fetch-Mode", "navigate"), set("Sec-Fetch-Dest", "document")}, 403},
		{"a form of another site", "POST", end, body, []func(*http.Request){set("Origin", "http://evil.example"), set("Sec-Fetch-Site", "cross-site"), set("Content-Type", "text/plain")}, 403},
		{"a form of no origin", "POST", end, body, []func(*http.Request){set("Origin", "null")}, 403},
		{"no token", "POST", end, body, []func(*http.Request){set(TokenHeader, "")}, 403},
		{"the token of the last start", "POST", end, body, []func(*http.Request){set(TokenHeader, "AAAAAAAAAAAAAAAAAAAAAAAAAA")}, 403},
		{"no JSON", "POST", end, body, []func(*http.Request){set("Content-Type", "text/plain")}, 415},
		{"what only programs may", "POST", "/api/v1/token", `{"audience": "hmi"}`, nil, 403},
		{"signing, too", "POST", "/api/v1/sign", `{"application": "hmi"}`, nil, 403},
		{"the wrong verb", "GET", end, "", nil, 405},
		{"a preflight", "OPTIONS", end, "", nil, 403},
		{"no such call", "GET", "/api/v1/secrets", "", nil, 404},
		{"too large a body", "POST", end, `{"session": "` + strings.Repeat("s", maxBody) + `"}`, nil, 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, says := b.call(tt.verb, tt.path, tt.body, tt.change...)
			if code != tt.want {
				t.Errorf("%d, want %d: %s", code, tt.want, says)
			}
			if code == http.StatusOK && tt.path == end {
				<-b.station.ended
			}
			var f map[string]fault
			if code != http.StatusOK && (json.Unmarshal([]byte(says), &f) != nil || f["error"].Message == "") {
				t.Errorf("the refusal is %q", says)
			}
		})
	}
}

func TestARefusedBodyNamesItsFieldAndNotWhatItHeld(t *testing.T) {
	b := browse(t)
	for _, tt := range []struct{ path, body, field string }{
		{"/api/v1/session/end", `{"session": 7390}`, "session"},
		{"/api/v1/session/end", `{"session": "s1", "session": "7390"}`, "session"},
		{"/api/v1/session/end", `{"session": ""}`, "session"},
		{"/api/v1/session/end", ``, "session"},
		{"/api/v1/session/end", `{"session": "` + strings.Repeat("7390", 70) + `"}`, "session"},
		{"/api/v1/session/end", `{"session": "7390\u0000"}`, "session"},
		{"/api/v1/session/end", `{"person": "7390"}`, "body"},
		{"/api/v1/session/end", `["7390"]`, "body"},
		{"/api/v1/session/end", `{"session": "s1"} 7390`, "body"},
		{"/api/v1/session/end", `{"session": `, "session"},
		{"/api/v1/pin", `{"session": "s1", "pin": 7390}`, "pin"},
		{"/api/v1/pin", `{"session": "s1", "pin": ["7390"]}`, "pin"},
		{"/api/v1/badge/claim", `{"code": "K7QX2M", "person": "p-1"}`, "person, pin"},
	} {
		code, says := b.call(http.MethodPost, tt.path, tt.body)
		var f map[string]fault
		if err := json.Unmarshal([]byte(says), &f); err != nil || code != http.StatusBadRequest {
			t.Errorf("%s %.60s: %d %s", tt.path, tt.body, code, says)
			continue
		}
		if field := f["error"].Field; field != tt.field || strings.Contains(says, "7390") {
			t.Errorf("%s %.60s: field %q, want %q: %s", tt.path, tt.body, field, tt.field, says)
		}
	}
}

func TestAFaultOfOursIsToldToOurLogAlone(t *testing.T) {
	b := browse(t)
	b.station.failed = errors.New("badge 04C0FFEE")
	code, says := b.call(http.MethodPost, "/api/v1/session/end", `{"session": "s1"}`)
	if code != http.StatusInternalServerError || strings.Contains(says, "C0FFEE") || !strings.Contains(says, "log") {
		t.Errorf("%d %s", code, says)
	}
	b.station.failed = wire.BusyFor(3e9, "slowly")
	if code, says := b.call(http.MethodPost, "/api/v1/session/end", `{"session": "s1"}`); code != http.StatusTooManyRequests || !strings.Contains(says, `"retry_after_seconds":3`) {
		t.Errorf("%d %s", code, says)
	}
}

func TestEveryCallHasARowOfRights(t *testing.T) {
	for _, m := range taplinev1.LocalService_ServiceDesc.Methods {
		if rights()["/"+taplinev1.LocalService_ServiceDesc.ServiceName+"/"+m.MethodName] == 0 {
			t.Errorf("%s is in no row of rights.go", m.MethodName)
		}
	}
	for _, r := range routes() {
		if rights()["/"+taplinev1.LocalService_ServiceDesc.ServiceName+"/"+r.call] == 0 {
			t.Errorf("%s leads to %s, which is no call", r.path, r.call)
		}
	}
}

// events are what a page reads of the watch.
type events struct {
	t    testing.TB
	from *bufio.Scanner
}

func (b *browsed) watch(ctx context.Context, last string) *events {
	b.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+"/api/v1/watch", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = resp.Body.Close() })
	if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		b.t.Fatalf("the watch is %s", kind)
	}
	return &events{b.t, bufio.NewScanner(resp.Body)}
}

// next is the next event; false at the end.
func (e *events) next() (id, data string, ok bool) {
	for e.from.Scan() {
		line := e.from.Text()
		if s, is := strings.CutPrefix(line, "id: "); is {
			id = s
		}
		if s, is := strings.CutPrefix(line, "data: "); is {
			data = s
		}
		if line == "" && data != "" {
			return id, data, true
		}
	}
	return "", "", false
}

func notice(code string) *taplinev1.WatchPresenceResponse {
	return &taplinev1.WatchPresenceResponse{Presence: &taplinev1.Presence{Session: "s1"}, Notice: &taplinev1.Notice{HelpCode: code}}
}

func TestAPageThatComesBackGetsWhatItMissed(t *testing.T) {
	b := browse(t)
	ctx, leave := context.WithCancel(t.Context())
	e := b.watch(ctx, "")
	id, data, _ := e.next()
	if !strings.Contains(data, "Anna B.") || strings.Contains(data, "p-1001") {
		t.Errorf("a watch begins with %s", data)
	}
	leave()
	b.station.shown <- notice("AAAAAA")
	b.station.shown <- notice("BBBBBB")
	e = b.watch(t.Context(), id)
	for _, code := range []string{"AAAAAA", "BBBBBB"} {
		if _, data, _ := e.next(); !strings.Contains(data, code) {
			t.Errorf("after the return: %s, want %s", data, code)
		}
	}
	for _, old := range []string{"other-1", "nonsense", b.server.feed.id(99), b.server.feed.boot + "-99999999999999999999"} {
		if _, data, _ := b.watch(t.Context(), old).next(); strings.Contains(data, "BBBBBB") || !strings.Contains(data, `"s1"`) {
			t.Errorf("after the event %s: %s, want the state alone", old, data)
		}
	}
}

func TestTheOldestWatchGoesWhenTooManyCome(t *testing.T) {
	b := browse(t)
	first := b.watch(t.Context(), "")
	if _, _, ok := first.next(); !ok {
		t.Fatal("no state")
	}
	for range maxWatchers {
		if _, _, ok := b.watch(t.Context(), "").next(); !ok {
			t.Fatal("the newest did not get a seat")
		}
	}
	if _, _, ok := first.next(); ok {
		t.Error("the oldest watch goes on")
	}
}

func TestProgramsCallOverTheSocketByWhoTheyAre(t *testing.T) {
	path, s := serve(t)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
	defer client.CloseIdleConnections()
	do := func(verb, path, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), verb, "http://tapline"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		all, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(all)
	}
	if code, says := do(http.MethodGet, "/api/v1/presence", ""); code != http.StatusOK || !strings.Contains(says, "p-1001") {
		t.Errorf("%d %s", code, says)
	}
	if code, says := do(http.MethodGet, "/api/v1/status", ""); code != http.StatusOK || !strings.Contains(says, "drawer") {
		t.Errorf("%d %s", code, says)
	}
	if code, says := do(http.MethodPost, "/api/v1/session/end", `{"session": "s1"}`); code != http.StatusOK || <-s.ended != "s1" {
		t.Errorf("%d %s", code, says)
	}
	if code, _ := do(http.MethodGet, "/", ""); code != http.StatusNotFound {
		t.Errorf("the page over the socket: %d", code)
	}
}

func TestTheDoorMovesWithoutASecondWithoutOne(t *testing.T) {
	b := browse(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, _, err := b.server.Move(t.Context(), taken.Addr().String(), nil); err == nil {
		t.Error("moved to where somebody else is")
	}
	if code, _ := b.call(http.MethodGet, "/", ""); code != http.StatusOK {
		t.Errorf("after a move that failed: %d", code)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	next := free.Addr().String()
	_ = free.Close()
	commit, _, err := b.server.Move(t.Context(), next, []string{"other.lan"})
	if err != nil {
		t.Fatal(err)
	}
	commit()
	b.base = "http://" + next
	if code, says := b.call(http.MethodGet, "/", "", host("other.lan")); code != http.StatusOK || says != b.token {
		t.Errorf("at the new address: %d %s", code, says)
	}
	commit, _, err = b.server.Move(t.Context(), next, []string{"third.lan"})
	if err != nil {
		t.Fatal(err)
	}
	commit()
	if code, _ := b.call(http.MethodGet, "/", "", host("third.lan")); code != http.StatusOK {
		t.Errorf("under the new name: %d", code)
	}
}

func TestAddressesForBrowsersAreOfTheLoopback(t *testing.T) {
	for address, good := range map[string]bool{
		"": true, "127.0.0.1:8750": true, "localhost:1": true, "[::1]:8750": true, "127.0.0.2:0": true,
		"0.0.0.0:8750": false, ":8750": false, "10.1.2.3:8750": false, "[::]:8750": false, "127.0.0.1": false, "press-4:8750": false, "127.0.0.1:70000": false,
	} {
		if err := CheckListen(address); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
	for name, good := range map[string]bool{"press-4.lan": true, "": false, "Press": false, "a:1": false, "a/b": false} {
		if err := CheckHost(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Slow callers are let go, so that they keep nobody out.
func TestManySilentConnectionsKeepNobodyOut(t *testing.T) {
	b := browse(t)
	for range maxConns / 2 {
		conn, err := net.Dial("tcp", b.server.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = fmt.Fprint(conn, "GET / HTTP/1.1\r\nHo")
	}
	if code, _ := b.call(http.MethodGet, "/", ""); code != http.StatusOK {
		t.Errorf("beside silent ones: %d", code)
	}
}
