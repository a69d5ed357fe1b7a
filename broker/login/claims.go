package login

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"tapline/broker/officer"
	"tapline/proto/wire"
)

// claims are a token's claims by name.
type claims map[string]json.RawMessage

// read reads a claim into v; false if it is not there, is null, or is something else.
func (c claims) read(name string, v any) bool {
	raw, ok := c[name]
	return ok && string(raw) != "null" && json.Unmarshal(raw, v) == nil
}

// words says why the library refused a token, from what it refuses in which order. It never says what the token holds.
func (i *Issuer) words(err error) string {
	switch said := err.Error(); {
	case strings.Contains(said, "malformed jwt"):
		return "not a signed token of a kind that this broker takes (no alg none, no shared secrets)"
	case strings.Contains(said, "verify"):
		return "no key of the issuer " + i.cfg.Issuer + " signed it; log in again"
	case strings.Contains(said, "different provider"):
		return "it is of another issuer than oidc.issuer"
	case strings.Contains(said, "audience"):
		return "it is not for this broker (aud): compare oidc.client_id and oidc.audience with the issuer"
	}
	return "malformed"
}

// checkParty checks who asked for the token (azp; OpenID Connect Core 1.0, section 3.1.3.7, steps 3 to 5).
func (i *Issuer) checkParty(t *oidc.IDToken, c claims) error {
	var azp string
	_, has := c["azp"]
	switch {
	case has && (!c.read("azp", &azp) || azp != i.cfg.ClientID):
		return wire.E(wire.Unauthenticated, "id_token: another client than oidc.client_id asked for it (azp)")
	case !has && (len(t.Audience) > 1 || i.cfg.audience() != i.cfg.ClientID):
		return wire.E(wire.Unauthenticated, "id_token: it is for several (aud) and does not say which client asked for it (azp)")
	case t.Subject == "":
		return wire.E(wire.Unauthenticated, "id_token: it names no subject (sub)")
	}
	return nil
}

// checkTimes checks exp, iat and nbf by the broker's clock.
func (i *Issuer) checkTimes(t *oidc.IDToken, c claims) error {
	now := i.now()
	hint := fmt.Sprintf("the broker's clock says %s", now.UTC().Format(time.RFC3339))
	notBefore, err := c.time("nbf")
	switch {
	case err != nil:
		return err
	case t.Expiry.Unix() <= 0 || t.IssuedAt.Unix() <= 0:
		return wire.E(wire.Unauthenticated, "id_token: it has no times (exp, iat)")
	case !now.Before(t.Expiry.Add(leeway)):
		return wire.E(wire.Unauthenticated, "id_token: it has expired (exp); log in again; %s", hint)
	case now.Add(leeway).Before(t.IssuedAt):
		return wire.E(wire.Unauthenticated, "id_token: it is from the future (iat); %s", hint)
	case now.Add(leeway).Before(notBefore):
		return wire.E(wire.Unauthenticated, "id_token: it is not good yet (nbf); %s", hint)
	case now.Sub(t.IssuedAt) > maxAge+leeway:
		return wire.E(wire.Unauthenticated, "id_token: it is older than %d minutes (iat); log in again; %s", int(maxAge.Minutes()), hint)
	}
	return nil
}

// time reads a NumericDate (RFC 7519, section 2); zero if it is not there.
func (c claims) time(name string) (time.Time, error) {
	if _, has := c[name]; !has {
		return time.Time{}, nil
	}
	var n float64
	if !c.read(name, &n) || math.Abs(n) > 1<<40 {
		return time.Time{}, wire.E(wire.Unauthenticated, "id_token: %s is not a time", name)
	}
	return time.Unix(int64(n), 0), nil
}

// person is whom the token is about.
func (i *Issuer) person(t *oidc.IDToken, c claims) (officer.Claims, error) {
	name, claim, err := i.name(c)
	if err != nil {
		return officer.Claims{}, err
	}
	if err := officer.CheckName(claim, name); err != nil {
		return officer.Claims{}, wire.E(wire.Denied, "id_token: the claim %w; have the issuer send such a name, or set oidc.name_claim", err)
	}
	role, err := i.role(c)
	if err != nil {
		return officer.Claims{}, err
	}
	return officer.Claims{Name: name, Role: role, Subject: t.Issuer + "|" + t.Subject}, nil
}

// name is what a person is called, and the claim that says so.
func (i *Issuer) name(c claims) (name, claim string, err error) {
	tried := []string{i.cfg.NameClaim}
	if i.cfg.NameClaim == "" {
		tried = []string{usualName, emailName}
	}
	for _, claim := range tried {
		if !c.read(claim, &name) || name == "" {
			continue
		}
		var verified any
		if claim == emailName && c.read("email_verified", &verified) && (verified == false || verified == "false") {
			return "", "", wire.E(wire.Denied, "id_token: the issuer has not verified the address in the claim email; set oidc.name_claim to another claim, or have it verified")
		}
		return name, claim, nil
	}
	return "", "", wire.E(wire.Denied, "id_token: it has no claim %s; have the issuer send it (scopes), or set oidc.name_claim", strings.Join(tried, " or "))
}

// role is the one that may most of those that the person's groups give.
func (i *Issuer) role(c claims) (wire.Role, error) {
	claim := i.cfg.groupsClaim()
	groups, ok := c.groups(claim)
	if !ok {
		var elsewhere map[string]string
		if c.read("_claim_names", &elsewhere) && elsewhere[claim] != "" {
			return "", wire.E(wire.Denied, "id_token: the issuer left out the claim %s because there are too many groups; have it send only those that are assigned to the client", claim)
		}
		return "", wire.E(wire.Denied, "id_token: it has no claim %s; have the issuer send groups, or set oidc.groups_claim", claim)
	}
	for _, role := range wire.OfficerRoles() {
		if slices.ContainsFunc(groups, func(g string) bool { return i.cfg.Roles[g] == role }) {
			return role, nil
		}
	}
	return "", wire.E(wire.Denied, "id_token: none of the %d groups in the claim %s gives a role here; have yourself put into one that does (oidc.roles)", len(groups), claim)
}

// groups reads a claim that is a list of groups, or one. A claim a.b.c that is not there by that name is looked for as c within b within a.
func (c claims) groups(name string) ([]string, bool) {
	var many []string
	if c.read(name, &many) {
		return many, true
	}
	var one string
	if c.read(name, &one) {
		return []string{one}, true
	}
	outer, rest, nested := strings.Cut(name, ".")
	var inner claims
	if _, here := c[name]; here || !nested || !c.read(outer, &inner) {
		return nil, false
	}
	return inner.groups(rest)
}
