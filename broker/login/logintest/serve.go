package logintest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The paths of the issuer.
const (
	DiscoveryPath = "/.well-known/openid-configuration"
	KeysPath      = "/keys"
	DevicePath    = "/device"
	TokenPath     = "/token"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// ServeHTTP answers as the issuer.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch i.visited(r.URL.Path) {
	case Dead:
		panic(http.ErrAbortHandler)
	case Slow:
		<-r.Context().Done()
		return
	case Broken:
		http.Error(w, "<html>a server in trouble</html>", http.StatusInternalServerError)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET " + DiscoveryPath:
		answer(w, http.StatusOK, map[string]any{
			"issuer": i.URL, "jwks_uri": i.URL + KeysPath, "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + TokenPath,
			"device_authorization_endpoint": i.URL + DevicePath, "id_token_signing_alg_values_supported": []string{"RS256", "ES256", "HS256", "none"},
			"grant_types_supported": []string{"authorization_code", deviceGrant}, "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		})
	case "GET " + KeysPath:
		i.mu.Lock()
		set := []map[string]string{}
		for _, k := range i.keys {
			set = append(set, jwk(k))
		}
		i.mu.Unlock()
		answer(w, http.StatusOK, map[string]any{"keys": set})
	case "POST " + DevicePath:
		i.begin(w, r)
	case "POST " + TokenPath:
		i.token(w, r)
	default:
		http.NotFound(w, r)
	}
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, word, says string) {
	answer(w, http.StatusBadRequest, map[string]string{"error": word, "error_description": says})
}

// public checks that it is the client, and that it shows no secret.
func (i *Issuer) public(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.ParseForm() != nil:
		refuse(w, "invalid_request", "want a form")
	case r.Header.Get("Authorization") != "" || r.PostForm.Has("client_secret") || len(r.PostForm["client_id"]) != 1 || r.PostForm.Get("client_id") != ClientID:
		refuse(w, "invalid_client", "not the public client")
	default:
		return true
	}
	return false
}

// begin is RFC 8628, sections 3.1 and 3.2.
func (i *Issuer) begin(w http.ResponseWriter, r *http.Request) {
	if !i.public(w, r) {
		return
	}
	if !slices.Contains(strings.Fields(r.PostForm.Get("scope")), "openid") {
		refuse(w, "invalid_scope", "without openid there is no ID token")
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	n := len(i.devices) + 1
	pace := time.Duration(i.Interval) * time.Second
	if pace == 0 {
		pace = 5 * time.Second
	}
	f := &flow{user: fmt.Sprintf("WDJB-MJ%02d", n), ends: i.Now().Add(i.CodeLife), last: i.Now(), pace: pace}
	device := fmt.Sprintf("device-%d-of-nobody-else", n)
	i.devices[device] = f
	resp := map[string]any{
		"device_code": device, "user_code": f.user, "verification_uri": i.URL + "/enter", "verification_uri_complete": i.URL + "/enter?user_code=" + f.user,
		"expires_in": int(i.CodeLife.Seconds()),
	}
	if i.Interval > 0 {
		resp["interval"] = i.Interval
	}
	answer(w, http.StatusOK, resp)
}

// token is RFC 8628, sections 3.4 and 3.5.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	if !i.public(w, r) {
		return
	}
	if r.PostForm.Get("grant_type") != deviceGrant {
		refuse(w, "unsupported_grant_type", "the device flow alone")
		return
	}
	i.mu.Lock()
	f, now := i.devices[r.PostForm.Get("device_code")], i.Now()
	word := i.judge(f, now)
	i.mu.Unlock()
	if word != "" {
		refuse(w, word, "see RFC 8628, section 3.5")
		return
	}
	claims := i.Usual()
	answer(w, http.StatusOK, map[string]any{"access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": i.Mint(claims)})
}

// judge says which word refuses a poll; none if it is granted. The code works once. The caller holds the lock.
func (i *Issuer) judge(f *flow, now time.Time) string {
	switch {
	case f == nil:
		return "invalid_grant"
	case now.After(f.ends):
		return "expired_token"
	case now.Sub(f.last) < f.pace-100*time.Millisecond:
		f.last = now
		f.pace += 5 * time.Second
		return "slow_down"
	}
	f.last = now
	switch f.verdict {
	case "":
		return "authorization_pending"
	case "allowed":
		f.verdict = "invalid_grant"
		return ""
	}
	return f.verdict
}
