package localapi

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// fuzzed is the handlers without their listeners.
func fuzzed() (*Server, *web, *station) {
	s := &station{ended: make(chan string, 1)}
	server := New(Config{Station: s, Log: zap.NewNop()})
	w := &web{service: server.service, unary: server.unary, feed: server.feed, seats: server.seats, page: page("token"), log: zap.NewNop()}
	return server, w, s
}

// FuzzHTTP holds that whatever a browser sends is answered, never by a fault of ours; that what is refused is refused in JSON, with the field when the
// request is what is wrong; and that nothing is done for a caller who does not say a loopback name and the token of the page.
func FuzzHTTP(f *testing.F) {
	for _, r := range routes() {
		f.Add(r.verb, r.path, "localhost:8750", "application/json", "token", `{"session": "s1"}`)
	}
	f.Add("POST", "/api/v1/session/end", "evil.example", "application/json", "token", `{"session": "s1"}`)
	f.Add("POST", "/api/v1/pin", "[::1]", "application/json; charset=utf-8", "", `{"session": "s1", "pin": 1}`)
	f.Add("GET", "//api/v1/../v1/presence", "127.0.0.1", "", "", "")
	f.Fuzz(func(t *testing.T, verb, path, host, kind, token, body string) {
		r, err := http.NewRequestWithContext(t.Context(), verb, "http://localhost/", strings.NewReader(body))
		if err != nil || !strings.HasPrefix(path, "/") || path == watchPath {
			return // no request, or one that goes on for ever
		}
		_, w, s := fuzzed()
		r.URL.Path, r.Host = path, host
		r.Header.Set("Content-Type", kind)
		r.Header.Set(TokenHeader, token)
		g := &guard{token: "token", hosts: func() []string { return nil }}
		out := httptest.NewRecorder()
		w.handler(g).ServeHTTP(out, r.WithContext(browserContext(r.Context(), nil)))
		switch {
		case out.Code == http.StatusInternalServerError:
			t.Errorf("the agent failed: %s", out.Body)
		case out.Code >= http.StatusBadRequest:
			var refusal map[string]fault
			if err := json.Unmarshal(out.Body.Bytes(), &refusal); err != nil || refusal["error"].Message == "" {
				t.Errorf("%d is no refusal in JSON: %s", out.Code, out.Body)
			}
			if out.Code == http.StatusBadRequest && refusal["error"].Field == "" {
				t.Errorf("the refusal names no field: %s", out.Body)
			}
		}
		if len(s.ended) > 0 && (token != "token" || !g.knows(host) || verb != http.MethodPost) {
			t.Error("something was done for a caller who is no page of ours")
		}
	})
}

// FuzzJSON holds that what is read of a body is read again from what is written of it, and that a refusal never quotes a value.
func FuzzJSON(f *testing.F) {
	f.Add(`{"application": "hmi", "meaning": "released", "digest": "AAAA", "pin": "7390"}`)
	f.Add(`{"digest": 1}`)
	f.Add(`{"pin": {"7390": null}}`)
	f.Fuzz(func(t *testing.T, body string) {
		var got, again taplinev1.SignActionRequest
		if err := decode(strings.NewReader(body), &got); err != nil {
			if wire.KindOf(err) != wire.Invalid || fieldAt.FindString(err.Error()) == "" {
				t.Errorf("refused without a field: %v", err)
			}
			return
		}
		written, err := encode(&got)
		if err != nil {
			return // what is not UTF-8 is refused by the bounds, for every way in
		}
		if err := decode(strings.NewReader(string(written)), &again); err != nil || !proto.Equal(&got, &again) {
			t.Errorf("%s read again: %v, %v", written, &again, err)
		}
	})
}

// FuzzRequest holds that no bytes of a request of any call make the service fail, and that what is too long or no text goes no further.
func FuzzRequest(f *testing.F) {
	methods := taplinev1.LocalService_ServiceDesc.Methods
	for i := range methods {
		f.Add(uint8(i), []byte("\n\x02s1"))
	}
	f.Fuzz(func(t *testing.T, which uint8, raw []byte) {
		server, _, s := fuzzed()
		m := methods[int(which)%len(methods)]
		ctx := withPeer(t.Context(), Peer{Owner: true})
		resp, err := m.Handler(server.service, ctx, func(req any) error {
			if proto.Unmarshal(raw, req.(proto.Message)) != nil {
				return wire.Status(wire.E(wire.Invalid, "request: gRPC refuses it before any code of ours"))
			}
			return nil
		}, server.unary)
		if k := wire.KindOf(err); k == wire.Internal || err == nil && resp == nil {
			t.Errorf("%s: %v", m.MethodName, err)
		}
		if len(s.ended) > 0 {
			if id := <-s.ended; id != "s1" {
				t.Errorf("ended %q", id)
			}
		}
	})
}

// A body that does not end is cut off.
func TestABodyWithoutEndIsCutOff(t *testing.T) {
	_, w, _ := fuzzed()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/pin", io.LimitReader(endless{}, 1<<30))
	r.Header.Set("Content-Type", "application/json")
	out := httptest.NewRecorder()
	w.handler(nil).ServeHTTP(out, r)
	if out.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", out.Code, out.Body)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}
