package localapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"tapline/proto/wire"
)

// TokenHeader carries the token of the page in requests that change something. No page of another origin can send it without asking first, and
// nobody answers that question.
const TokenHeader = "X-Tapline-Token"

// policy is what a page of ours may load: its own files and nothing else, no script in the page, in no frame of anybody.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; media-src 'self'; connect-src 'self'; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// headers go with every answer.
func headers(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Cache-Control", "no-store")
}

// guard keeps away, on the loopback listener, what a browser can be talked into: names that somebody's DNS points here (Host), pages of other origins
// (Sec-Fetch-Site, Origin), and forms (token). A program on this machine can say all of that; so a browser has the least rights.
type guard struct {
	token string
	hosts func() []string // names beside those of the loopback, lower case, without port
}

// check refuses a request that no page of ours makes.
func (g *guard) check(r *http.Request) error {
	if !g.knows(r.Host) {
		return wire.E(wire.Denied, "this name is not the station's: open it as http://localhost, or name it in web.hosts")
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	site := r.Header.Get("Sec-Fetch-Site")
	opens := reads && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" && !strings.HasPrefix(r.URL.Path, "/api/")
	if site != "" && site != "same-origin" && site != "none" && !opens {
		return wire.E(wire.Denied, "pages of other sites get nothing here")
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		return wire.E(wire.Denied, "pages of other origins get nothing here")
	}
	if reads {
		return nil
	}
	want, got := sha256.Sum256([]byte(g.token)), sha256.Sum256([]byte(r.Header.Get(TokenHeader)))
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return wire.E(wire.Denied, "the header %s must hold the token of the page: load the page again", TokenHeader)
	}
	return nil
}

// knows reports whether a Host header names this station. The port may be any: what it is decides nothing.
func (g *guard) knows(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	if name == "localhost" || slices.Contains(g.hosts(), name) {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback() && ip.Zone() == ""
}

// isJSON reports whether a request says that its body is JSON. A form of another page cannot say so.
func isJSON(r *http.Request) bool {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json" && (params["charset"] == "" || strings.EqualFold(params["charset"], "utf-8"))
}
