package scim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"go.uber.org/zap"

	"tapline/broker/store"
)

type clientKey struct{}

// client is the name of the token that a request shows.
func client(r *http.Request) string {
	name, _ := r.Context().Value(clientKey{}).(string)
	return name
}

// ServeHTTP answers one request: it admits the client, bounds the request, and leaves the rest to the library.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			s.Log.Error("a SCIM request broke its handler", zap.String("panic", fmt.Sprintf("%T", v)), zap.ByteString("stack", debug.Stack()))
			fail(w, http.StatusInternalServerError, "", "the request could not be served")
		}
	}()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusTooManyRequests, "", "too many requests at once")
		return
	}
	name, err := s.admit(r)
	switch {
	case errors.Is(err, errToken):
		w.Header().Set("WWW-Authenticate", `Bearer realm="tapline"`)
		fail(w, http.StatusUnauthorized, "", "a bearer token is needed that is known, in force and not revoked")
		return
	case err != nil:
		s.Log.Error("a SCIM token could not be looked up", zap.Error(err))
		fail(w, http.StatusServiceUnavailable, "", "the store does not answer")
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), clientKey{}, name))
	if !s.bound(w, r) {
		return
	}
	if path := strings.TrimPrefix(r.URL.Path, "/v2"); r.Method == http.MethodGet && path == "/ServiceProviderConfig" {
		s.provider(w)
		return
	}
	s.library.ServeHTTP(w, r)
}

// errToken says that a token opens nothing.
var errToken = errors.New("no good token")

// admit gives the name of the token that a request shows.
func (s *Server) admit(r *http.Request) (string, error) {
	scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || len(secret) > 256 {
		return "", errToken
	}
	hash := sha256.Sum256([]byte(strings.TrimSpace(secret)))
	var t store.ScimToken
	err := s.view(r, func(tx *store.Tx) (err error) {
		t, err = tx.ScimTokenByHash(hash[:])
		return err
	})
	now := s.now()
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", errToken
	case err != nil:
		return "", err
	case !t.RevokedAt.IsZero(), !now.Before(t.ExpiresAt):
		return "", errToken
	}
	if now.Sub(t.LastUsedAt) >= time.Minute {
		err = s.Roster.Store.Update(r.Context(), func(tx *store.Tx) error { return tx.UseScimToken(t.ID, now) })
	}
	return t.Name, err
}

// bound reads the body, within its limit, and puts right what clients are known to send wrong. False says that the request was answered.
func (s *Server) bound(w http.ResponseWriter, r *http.Request) bool {
	if len(r.URL.RawQuery) > longest {
		fail(w, http.StatusBadRequest, "invalidFilter", "the query is longer than 8 KiB")
		return false
	}
	if nesting(r.URL.Query().Get("filter")) > 50 {
		fail(w, http.StatusBadRequest, "invalidFilter", "more than 50 brackets in one another")
		return false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		fail(w, http.StatusRequestEntityTooLarge, "", fmt.Sprintf("the body is larger than %d bytes", MaxBody))
		return false
	case err != nil:
		fail(w, http.StatusBadRequest, "invalidSyntax", "the body could not be read")
		return false
	}
	if len(body) > 0 {
		var faults string
		if body, faults = tolerate(body); faults != "" {
			fail(w, http.StatusBadRequest, "invalidSyntax", faults)
			return false
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return true
}

func nesting(filter string) int {
	deepest, deep := 0, 0
	for _, c := range filter {
		switch c {
		case '(', '[':
			deep++
			deepest = max(deepest, deep)
		case ')', ']':
			deep--
		}
	}
	return deepest
}

// tolerate reads a body and makes real booleans of "True" and "False", which Entra ID sends for active and primary. It says what is wrong, if anything is.
func tolerate(body []byte) ([]byte, string) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, "the body is no JSON object"
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, "something follows the JSON object"
	}
	if fault := tolerateOperations(m); fault != "" {
		return nil, fault
	}
	if !shallow(m) {
		return nil, "a filter, a path or a name of an attribute is too long or too deep"
	}
	booleans(m)
	out, err := json.Marshal(m)
	if err != nil {
		return nil, "the body cannot be read"
	}
	return out, ""
}

// tolerateOperations looks at the operations of a PATCH.
func tolerateOperations(m map[string]any) string {
	for key, v := range m {
		list, ok := v.([]any)
		if !strings.EqualFold(key, "Operations") || !ok {
			continue
		}
		if len(list) > 1000 {
			return "more than 1,000 operations"
		}
		for _, o := range list {
			op, ok := o.(map[string]any)
			if !ok {
				return "an operation is no object"
			}
			path, _ := op["path"].(string)
			if len(path) > 1024 || nesting(path) > 50 {
				return "a path is too long or too deep"
			}
			if path = strings.ToLower(path); strings.HasSuffix(path, "active") || strings.HasSuffix(path, "primary") {
				op["value"] = boolean(op["value"])
			}
		}
	}
	return ""
}

// longest is how long a filter or a path may be. The library's parser goes one call deeper for each bracket, and a stack that overflows ends the program, so
// what it is given is bounded: the filter of a search, paths, and the names in an operation's value, which are paths too.
const longest = 8 << 10

// shallow reports whether all that the library will parse in a JSON value is short and flat.
func shallow(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if len(key) > 1024 || nesting(key) > 50 {
				return false
			}
			text, ok := inner.(string)
			if k := strings.ToLower(key); ok && (k == "filter" || k == "path") && (len(text) > longest || nesting(text) > 50) {
				return false
			}
			if !shallow(inner) {
				return false
			}
		}
	case []any:
		for _, inner := range v {
			if !shallow(inner) {
				return false
			}
		}
	}
	return true
}

func boolean(v any) any {
	if text, ok := v.(string); ok {
		switch strings.ToLower(text) {
		case "true":
			return true
		case "false":
			return false
		}
	}
	return v
}

// booleans goes through a JSON value; its depth is bounded by the decoder's own limit.
func booleans(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if k := strings.ToLower(key); k == "active" || k == "primary" {
				v[key] = boolean(inner)
			}
			booleans(inner)
		}
	case []any:
		for _, inner := range v {
			booleans(inner)
		}
	}
}

// fail answers with an error in SCIM's form (RFC 7644, section 3.12).
func fail(w http.ResponseWriter, status int, kind, detail string) {
	m := map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:Error"}, "status": fmt.Sprint(status), "detail": detail}
	if kind != "" {
		m["scimType"] = kind
	}
	answer(w, status, m)
}

func answer(w http.ResponseWriter, status int, m map[string]any) {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers only
	}
	w.Header().Set("Content-Type", "application/scim+json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client is gone if it fails
}

// provider tells what this server can do (RFC 7643, section 5); the library would not say that it has ETags.
func (s *Server) provider(w http.ResponseWriter) {
	can := func(yes bool) map[string]any { return map[string]any{"supported": yes} }
	answer(w, http.StatusOK, map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"},
		"patch":   can(true), "changePassword": can(false), "sort": can(false), "etag": can(true),
		"bulk":   map[string]any{"supported": false, "maxOperations": 0, "maxPayloadSize": MaxBody},
		"filter": map[string]any{"supported": true, "maxResults": maxResults},
		"authenticationSchemes": []any{map[string]any{
			"type": "oauthbearertoken", "name": "Bearer token", "description": "A token that tapctl scim token create made", "primary": true,
			"specUri": "https://www.rfc-editor.org/info/rfc6750",
		}},
		"meta": map[string]any{"resourceType": "ServiceProviderConfig", "location": "ServiceProviderConfig"},
	})
}
