package login

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// What a request to the issuer may cost.
const (
	answerWithin = 5 * time.Second
	maxAnswer    = 1 << 20
	keptFor      = 5 * time.Second // an answer serves all who ask within this: strangers with made-up key IDs cause no storm
	firstPause   = 2 * time.Second
	longestPause = time.Minute
)

// errAway is the error of every request that the issuer did not answer.
var errAway = errors.New("the issuer does not answer")

// source fetches from the issuer, one request at a time. After one that failed it fails at once for a while, longer each time.
type source struct {
	next http.RoundTripper
	now  func() time.Time
	turn chan struct{} // one slot; who has it owns what follows

	kept   map[string]kept
	pause  time.Duration
	closed time.Time // when the last request failed; zero if it did not
	cause  error
}

// kept is an answer that is served again for a while.
type kept struct {
	at   time.Time
	code int
	head http.Header
	body []byte
}

func newSource(roots *x509.CertPool, now func() time.Time) *source {
	return &source{
		next: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			TLSHandshakeTimeout: answerWithin, ResponseHeaderTimeout: answerWithin, IdleConnTimeout: time.Minute, MaxIdleConns: 2,
			ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
		},
		now: now, turn: make(chan struct{}, 1), kept: map[string]kept{},
	}
}

// client follows no redirect: what the issuer says stands at the address that it named.
func (s *source) client() *http.Client {
	return &http.Client{Transport: s, Timeout: 2 * answerWithin, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// RoundTrip is one GET.
func (s *source) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-r.Context().Done():
		return nil, fmt.Errorf("%w: %w", errAway, r.Context().Err())
	}
	now, at := s.now(), r.URL.String()
	if k, ok := s.kept[at]; ok && within(now, k.at, keptFor) {
		return k.response(r), nil
	}
	if within(now, s.closed, s.pause) {
		return nil, fmt.Errorf("%w: %w", errAway, s.cause)
	}
	k, err := s.fetch(r)
	if err != nil {
		s.pause = min(max(2*s.pause, firstPause), longestPause)
		s.closed, s.cause = s.now(), err
		return nil, fmt.Errorf("%w: %w", errAway, err)
	}
	k.at = s.now()
	if len(s.kept) > 8 {
		clear(s.kept)
	}
	s.kept[at], s.pause, s.closed, s.cause = k, 0, time.Time{}, nil
	return k.response(r), nil
}

// within reports whether now is less than d after t; a clock that was set back makes nothing last longer.
func within(now, t time.Time, d time.Duration) bool {
	return !t.IsZero() && now.Sub(t) < d && now.Sub(t) >= 0
}

func (s *source) fetch(r *http.Request) (kept, error) {
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	resp, err := s.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return kept{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return kept{}, err
	case len(body) > maxAnswer:
		return kept{}, fmt.Errorf("answer of more than %d bytes", maxAnswer)
	case resp.StatusCode != http.StatusOK:
		return kept{}, fmt.Errorf("it answered %d at %s", resp.StatusCode, r.URL.Redacted())
	}
	return kept{code: resp.StatusCode, head: http.Header{"Content-Type": resp.Header["Content-Type"]}, body: body}, nil
}

func (k kept) response(r *http.Request) *http.Response {
	return &http.Response{
		StatusCode: k.code, Status: http.StatusText(k.code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: k.head.Clone(),
		Body: io.NopCloser(bytes.NewReader(k.body)), ContentLength: int64(len(k.body)), Request: r,
	}
}
