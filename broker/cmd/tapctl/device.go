package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

// Bounds of what an issuer says.
const (
	maxAnswer     = 1 << 20
	longestCode   = 30 * time.Minute
	slowestPoll   = 60 // seconds
	usualPoll     = 5  // seconds; RFC 8628, section 3.2
	slowDownBy    = 5  // seconds; section 3.5
	stillWaiting  = time.Second
	idTokenInside = "id_token"
)

// device is the device flow (RFC 8628) at one issuer: a public client, which has no secret.
type device struct {
	issuer string
	client *http.Client
	config oauth2.Config
}

// findDevice learns the issuer's addresses (OpenID Connect Discovery 1.0, section 4).
func findDevice(ctx context.Context, l *taplinev1.GetLoginResponse, patience time.Duration, through http.RoundTripper) (*device, error) {
	d := &device{issuer: l.GetIssuer(), client: &http.Client{
		Transport: patient{through, patience}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	var doc struct {
		Issuer string `json:"issuer"`
		Device string `json:"device_authorization_endpoint"`
		Token  string `json:"token_endpoint"`
	}
	if err := d.discovery(ctx, &doc); err != nil {
		return nil, osservice.Fault(osservice.Unavailable, fmt.Errorf("issuer %s: %w", clean(d.issuer), err),
			"can this machine reach it? The broker names it (oidc.issuer); an invitation needs no issuer")
	}
	switch {
	case doc.Issuer != d.issuer:
		return nil, osservice.Fault(osservice.Config, fmt.Errorf("issuer %s calls itself %s", clean(d.issuer), clean(doc.Issuer)), `"tapbroker check" at the broker says more`)
	case !goodURL(doc.Device, d.issuer) || !goodURL(doc.Token, d.issuer):
		return nil, osservice.Fault(osservice.Config, fmt.Errorf("issuer %s has no device flow (RFC 8628)", clean(d.issuer)), "have it switched on for the client "+clean(l.GetClientId()))
	}
	d.config = oauth2.Config{
		ClientID: l.GetClientId(), Scopes: l.GetScopes(),
		Endpoint: oauth2.Endpoint{DeviceAuthURL: doc.Device, TokenURL: doc.Token, AuthStyle: oauth2.AuthStyleInParams},
	}
	return d, nil
}

// toIssuer is how the issuer is reached: by the roots that the broker names, else by the system's.
func toIssuer(l *taplinev1.GetLoginResponse) http.RoundTripper {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if pem := l.GetIssuerRoots(); len(pem) > 0 {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM(pem)
	}
	return &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: c, ForceAttemptHTTP2: true}
}

// patient reads an answer whole, within a time and a size. (The library leaves bodies open, and a client's own timeout goes on until they are closed.)
type patient struct {
	next http.RoundTripper
	most time.Duration
}

// RoundTrip is one request and its whole answer.
func (p patient) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), p.most)
	defer cancel()
	resp, err := p.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxAnswer {
		return nil, fmt.Errorf("answer of more than %d bytes", maxAnswer)
	}
	resp.Body = io.NopCloser(bytes.NewReader(b))
	return resp, nil
}

func (d *device) discovery(ctx context.Context, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(d.issuer, "/")+"/.well-known/openid-configuration", nil)
	if err != nil {
		return err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("discovery document: it answered %s", resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// goodURL reports whether an address of the issuer is one, and no worse protected than the issuer itself.
func goodURL(s, issuer string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && strings.HasPrefix(issuer, "http://"))
}

// begin asks for a code, and puts what the issuer says of time within bounds.
func (d *device) begin(ctx context.Context) (*oauth2.DeviceAuthResponse, error) {
	a, err := d.config.DeviceAuth(d.with(ctx))
	if err != nil {
		return nil, d.explain(err)
	}
	if a.DeviceCode == "" || a.UserCode == "" || !goodURL(a.VerificationURI, d.issuer) {
		return nil, osservice.Fault(osservice.Failure, fmt.Errorf("issuer %s gave no code and page", clean(d.issuer)), "is its device flow set up?")
	}
	if !goodURL(a.VerificationURIComplete, d.issuer) {
		a.VerificationURIComplete = ""
	}
	now := time.Now()
	if a.Expiry.IsZero() || a.Expiry.After(now.Add(longestCode)) {
		a.Expiry = now.Add(longestCode)
	}
	if a.Interval <= 0 {
		a.Interval = usualPoll
	}
	a.Interval = min(a.Interval, slowestPoll)
	return a, nil
}

// wait polls until the person has decided or the code has ended, and gives the ID token. An issuer that does not answer in between is asked again, more slowly.
func (d *device) wait(ctx context.Context, a *oauth2.DeviceAuthResponse, trouble func(string)) (string, error) {
	again := *a
	for {
		token, err := d.config.DeviceAccessToken(d.with(ctx), &again)
		if err == nil {
			id, ok := token.Extra(idTokenInside).(string)
			if !ok || id == "" {
				return "", osservice.Fault(osservice.Failure, fmt.Errorf("issuer %s gave no ID token", clean(d.issuer)), "are the scopes of the broker's oidc.scopes allowed for the client?")
			}
			return id, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if !time.Now().Before(a.Expiry) {
			return "", d.explain(&oauth2.RetrieveError{ErrorCode: "expired_token"})
		}
		if !passing(err) {
			return "", d.explain(err)
		}
		trouble("the issuer does not answer; trying again")
		again.Interval = min(2*again.Interval+slowDownBy, slowestPoll) // an answer "slow down" may be forgotten with the call that broke off
	}
}

// with makes the library use the device's client.
func (d *device) with(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, d.client)
}

// passing reports whether an issuer may answer better the next time: there was no answer, or it was that of a server in trouble.
func passing(err error) bool {
	var said *oauth2.RetrieveError
	if !errors.As(err, &said) {
		return true
	}
	return said.ErrorCode == "" && said.Response != nil && (said.Response.StatusCode >= 500 || said.Response.StatusCode == http.StatusTooManyRequests)
}

// explain says in words what an issuer answered. Its own words are for people who run it, and may hold anything.
func (d *device) explain(err error) error {
	var said *oauth2.RetrieveError
	if !errors.As(err, &said) {
		return osservice.Fault(osservice.Unavailable, fmt.Errorf("issuer %s does not answer: %w", clean(d.issuer), err), "try again; an invitation needs no issuer")
	}
	says := clean(fallback(said.ErrorCode, "an answer that is no answer"))
	if said.ErrorDescription != "" {
		says += ": " + clean(said.ErrorDescription)
	}
	switch said.ErrorCode {
	case "access_denied":
		return osservice.Fault(osservice.NotPermitted, errors.New("the login was refused at the issuer"), "start again, and confirm the code that is shown here")
	case "expired_token":
		return osservice.Fault(osservice.NotPermitted, errors.New("nobody entered the code in time"), "start again: tapctl login --oidc")
	case "invalid_client", "unauthorized_client", "unsupported_grant_type":
		return osservice.Fault(osservice.Config, fmt.Errorf("the issuer does not take the client %s: %s", clean(d.config.ClientID), says),
			"it has to be a public client (no secret) with the device flow; its ID stands in the broker's oidc.client_id")
	case "invalid_scope":
		return osservice.Fault(osservice.Config, fmt.Errorf("the issuer does not take the scopes %s: %s", clean(strings.Join(d.config.Scopes, " ")), says), "they stand in the broker's oidc.scopes")
	}
	return osservice.Fault(osservice.Failure, fmt.Errorf("the issuer answered %s", says), "whoever runs the issuer can say more")
}
