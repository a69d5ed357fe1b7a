package broker

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	taplinev1 "tapline/proto/tapline/v1"
)

// provider is an identity provider that knows the broker's roots and has a token.
type provider struct {
	*plant
	client *http.Client
	secret string
}

func (p *plant) provider() *provider {
	p.t.Helper()
	r, err := p.admin.CreateScimToken(p.t.Context(), &taplinev1.CreateScimTokenRequest{Name: "entra"})
	p.must(err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.roots()}}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &provider{plant: p, client: &http.Client{Transport: transport}, secret: r.GetSecret()}
}

func (v *provider) do(want int, method, path, body string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), inTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "https://"+v.cfg.ScimListen+"/scim/v2"+path, strings.NewReader(body))
	v.must(err)
	req.Header.Set("Authorization", "Bearer "+v.secret)
	resp, err := v.client.Do(req)
	v.must(err)
	raw, err := io.ReadAll(resp.Body)
	v.must(err)
	v.must(resp.Body.Close())
	if resp.StatusCode != want {
		v.t.Fatalf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, want, raw)
	}
}

// freeAddress is one that nobody listens on now.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestAnIdentityProvidersLeaverIsOutInTime(t *testing.T) {
	for says, leave := range map[string]func(*provider){
		"set inactive": func(v *provider) {
			v.do(http.StatusOK, "PATCH", "/Users/p-7", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`)
		},
		"deleted": func(v *provider) { v.do(http.StatusNoContent, "DELETE", "/Users/p-7", "") },
	} {
		t.Run(says, func(t *testing.T) {
			p := newPlantWith(t, func(c *Config) { c.ScimListen = freeAddress(t) })
			p.staff()
			v := p.provider()
			v.do(http.StatusCreated, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"p-7","displayName":"Dora"}`)
			p.assign(&taplinev1.AssignBadgeRequest{Person: "p-7", Badge: proofOf(ben())})
			s := p.enrol(press)
			ended := s.listen()
			req := tap(ben())
			if r := s.open(req); !r.GetDecision().GetAllowed() {
				t.Fatalf("got %v", r)
			}
			leave(v)
			s.endsWithin(inTime, ended, req.GetSession())
			want := taplinev1.RefusalCause_REFUSAL_CAUSE_PERSON_INACTIVE
			if says == "deleted" {
				want = taplinev1.RefusalCause_REFUSAL_CAUSE_BADGE_REVOKED
			}
			s.refusedWith(ben(), want)
		})
	}
}

func TestARevokedTokenOpensNothing(t *testing.T) {
	p := newPlantWith(t, func(c *Config) { c.ScimListen = freeAddress(t) })
	v := p.provider()
	v.do(http.StatusOK, "GET", "/Users", "")
	all, err := p.admin.ListScimTokens(t.Context(), &taplinev1.ListScimTokensRequest{})
	p.must(err)
	if len(all.GetTokens()) != 1 || all.GetTokens()[0].GetLastUsedAt() == nil {
		t.Fatalf("got %v", all)
	}
	_, err = p.admin.RevokeScimToken(t.Context(), &taplinev1.RevokeScimTokenRequest{Id: all.GetTokens()[0].GetId()})
	p.must(err)
	v.do(http.StatusUnauthorized, "GET", "/Users", "")
}
