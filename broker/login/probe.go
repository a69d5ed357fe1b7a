package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// deviceGrant is the grant type of the device flow (RFC 8628, section 3.4).
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// Asked is what an issuer answered to Ask.
type Asked struct {
	Lines  []string
	Faults []error
}

// Ask asks the issuer what a login will ask it, without one: can it be reached, is it the one that is configured, does it have keys and the device flow.
func Ask(ctx context.Context, cfg Config, now func() time.Time) Asked {
	var a Asked
	bad := func(format string, args ...any) {
		a.Faults = append(a.Faults, fmt.Errorf("oidc.issuer %s: %w", cfg.Issuer, fmt.Errorf(format, args...)))
	}
	pool, _, err := cfg.roots()
	if err != nil {
		bad("%w", err)
		return a
	}
	ctx, cancel := context.WithTimeout(ctx, 2*answerWithin)
	defer cancel()
	client := newSource(pool, now).client()
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, client), cfg.Issuer)
	var other *oidc.IssuerMismatchError
	switch {
	case errors.As(err, &other):
		bad("it calls itself %q: set oidc.issuer to that, letter for letter", other.Discovered)
		return a
	case err != nil:
		bad("discovery document: %w", err)
		return a
	}
	var d struct {
		document
		Grants []string `json:"grant_types_supported"`
	}
	if err := p.Claims(&d); err != nil {
		bad("discovery document: %w", err)
		return a
	}
	if d.Device == "" || len(d.Grants) > 0 && !slices.Contains(d.Grants, deviceGrant) {
		bad("it has no device flow (RFC 8628): switch it on for the client %s", cfg.ClientID)
	}
	for name, at := range map[string]string{"jwks_uri": d.Keys, "device_authorization_endpoint": d.Device, "token_endpoint": d.Token} {
		if err := checkIssuer(at); at != "" && err != nil {
			bad("%s: %w", name, err)
		}
	}
	n, err := countKeys(ctx, client, d.Keys)
	if err != nil || n == 0 {
		bad("no keys at %q (jwks_uri): %w", d.Keys, errors.Join(err, errors.New("without them no token can be checked")))
	}
	a.Lines = append(a.Lines, fmt.Sprintf("%s: keys %d, algorithms %v", cfg.Issuer, n, algorithms(d.Algorithms)))
	return a
}

func countKeys(ctx context.Context, client *http.Client, at string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	err = json.NewDecoder(resp.Body).Decode(&set) // the source bounds it
	return len(set.Keys), err
}
