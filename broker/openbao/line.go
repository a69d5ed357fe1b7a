package openbao

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/openbao/openbao/api/v2"

	"tapline/proto/wire"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// line is a transport that believes no redirect, which would take the token elsewhere, and reads no more than an answer can have.
type line struct{ http.RoundTripper }

func (l line) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		_ = resp.Body.Close()
		return nil, errRedirect
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// dial makes a client of the library: without its retries, its proxies, and whatever the environment says to it.
func (c Config) dial() (*api.Client, error) {
	roots, err := wire.ReadRoots(c.CAFile)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: c.Timeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: c.Timeout, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 4, MaxResponseHeaderBytes: 64 << 10,
	}
	made, err := api.NewClient(&api.Config{
		Address: c.Address, DisableEnvironment: true, DisableRedirects: true, Timeout: c.Timeout,
		HttpClient: &http.Client{Transport: line{transport}},
	})
	if err != nil {
		return nil, err
	}
	if c.Namespace != "" {
		made.SetNamespace(c.Namespace)
	}
	return made, nil
}
