package login_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"tapline/broker/login"
	"tapline/broker/login/logintest"
	"tapline/broker/officer"
	"tapline/proto/wire"
)

const address = "https://login.plant.example/realms/plant"

func config() login.Config {
	return login.Config{
		Issuer: address, ClientID: logintest.ClientID,
		Roles: map[string]wire.Role{"plant-desk": wire.RoleHelpdesk, "plant-shift": wire.RoleSupervisor, "plant-admins": wire.RoleAdmin, "revision": wire.RoleAuditor},
	}
}

// meet is an issuer and a broker's side of it, without a network.
func meet(t *testing.T, change func(*login.Config)) (*logintest.Issuer, *login.Issuer) {
	t.Helper()
	cfg := config()
	change(&cfg)
	i := logintest.New(t, address)
	b, err := login.New(cfg, zap.NewNop(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	b.Through(i)
	return i, b
}

func with(i *logintest.Issuer, changes map[string]any) map[string]any {
	c := i.Usual()
	for k, v := range changes {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

func fails(t *testing.T, err error, kind wire.Kind, says string) {
	t.Helper()
	if wire.KindOf(err) != kind || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v (%s), want %q (%s)", err, wire.KindOf(err), says, kind)
	}
}

func TestWhichTokensAreTaken(t *testing.T) {
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	type change = map[string]any
	for says, row := range map[string]struct {
		change change
		kind   wire.Kind
		text   string
	}{
		"as it should be":                   {nil, wire.None, ""},
		"for several, asked for by us":      {change{"aud": []string{"mail", "tapctl"}, "azp": "tapctl"}, wire.None, ""},
		"a little late":                     {change{"exp": in(-30 * time.Second)}, wire.None, ""},
		"a clock a little ahead":            {change{"iat": in(30 * time.Second), "nbf": in(30 * time.Second)}, wire.None, ""},
		"another issuer":                    {change{"iss": "https://evil.example"}, wire.Unauthenticated, "another issuer"},
		"the issuer with a slash more":      {change{"iss": address + "/"}, wire.Unauthenticated, "another issuer"},
		"for another client":                {change{"aud": "mail"}, wire.Unauthenticated, "aud"},
		"for nobody":                        {change{"aud": nil}, wire.Unauthenticated, "aud"},
		"asked for by another client":       {change{"azp": "mail"}, wire.Unauthenticated, "azp"},
		"asked for by a number":             {change{"azp": 7}, wire.Unauthenticated, "azp"},
		"for several, of nobody":            {change{"aud": []string{"mail", "tapctl"}}, wire.Unauthenticated, "azp"},
		"expired":                           {change{"exp": in(-2 * time.Minute)}, wire.Unauthenticated, "expired"},
		"without an end":                    {change{"exp": nil}, wire.Unauthenticated, "no times"},
		"without a begin":                   {change{"iat": nil}, wire.Unauthenticated, "no times"},
		"old, with a long life":             {change{"iat": in(-20 * time.Minute), "exp": in(time.Hour)}, wire.Unauthenticated, "older than 10 minutes"},
		"made in the future":                {change{"iat": in(2 * time.Minute)}, wire.Unauthenticated, "iat"},
		"good in the future":                {change{"nbf": in(2 * time.Minute)}, wire.Unauthenticated, "nbf"},
		"good from a word on":               {change{"nbf": "tomorrow"}, wire.Unauthenticated, ""},
		"about nobody":                      {change{"sub": nil}, wire.Unauthenticated, "sub"},
		"without a name":                    {change{"preferred_username": nil}, wire.Denied, "preferred_username or email"},
		"with a name that no record takes":  {change{"preferred_username": "PLANT\\olga"}, wire.Denied, "oidc.name_claim"},
		"with the broker's own name":        {change{"preferred_username": "local"}, wire.Denied, "broker's own"},
		"with an address nobody checked":    {change{"preferred_username": nil, "email": "olga@plant.example", "email_verified": false}, wire.Denied, "not verified"},
		"with groups that give no role":     {change{"groups": []string{"canteen", "choir"}}, wire.Denied, "none of the 2 groups in the claim groups"},
		"with no groups":                    {change{"groups": []string{}}, wire.Denied, "none of the 0 groups"},
		"without a claim of groups":         {change{"groups": nil}, wire.Denied, "no claim groups"},
		"with too many groups to be listed": {change{"groups": nil, "_claim_names": change{"groups": "x"}, "_claim_sources": change{"x": change{"endpoint": "https://x"}}}, wire.Denied, "too many groups"},
	} {
		t.Run(says, func(t *testing.T) {
			i, b := meet(t, func(*login.Config) {})
			c, err := b.Verify(t.Context(), i.Mint(with(i, row.change)))
			if row.kind != wire.None {
				fails(t, err, row.kind, row.text)
				for _, secret := range []string{"plant-desk", "plant-admins", "choir", "s-4711"} {
					if strings.Contains(err.Error(), secret) {
						t.Errorf("%q tells %s", err, secret)
					}
				}
				return
			}
			if want := (officer.Claims{Name: "olga", Role: wire.RoleHelpdesk, Subject: address + "|s-4711"}); err != nil || c != want {
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
}

func TestForgedTokens(t *testing.T) {
	i, b := meet(t, func(*login.Config) {})
	good := i.Mint(i.Usual())
	parts := strings.Split(good, ".")
	other := strings.Split(i.Mint(with(i, map[string]any{"groups": []string{"plant-admins"}})), ".")
	for says, token := range map[string]string{
		"alg none":                        i.MintAs("none", "k1", i.Usual()),
		"a secret that everybody knows":   i.MintAs("HS256", "k1", i.Usual()),
		"a key of nobody":                 i.MintAs("ES256", "k99", i.Usual()),
		"no key's name, a key of nobody":  i.MintAs("ES256", "", i.Usual()),
		"other claims under a signature":  parts[0] + "." + other[1] + "." + parts[2],
		"no signature":                    parts[0] + "." + parts[1] + ".",
		"two parts":                       parts[0] + "." + parts[1],
		"a word":                          "token",
		"JSON serialisation":              `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"},{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`,
		"something after the end of good": good + "x",
	} {
		t.Run(says, func(t *testing.T) {
			_, err := b.Verify(t.Context(), token)
			fails(t, err, wire.Unauthenticated, "id_token: ")
		})
	}
	if _, err := b.Verify(t.Context(), good); err != nil {
		t.Error(err)
	}
	if n := i.Asked(logintest.KeysPath); n > 1 {
		t.Errorf("made-up keys had the issuer asked %d times", n)
	}
}

func TestRolesAndNames(t *testing.T) {
	for says, row := range map[string]struct {
		config func(*login.Config)
		claims map[string]any
		name   string
		role   wire.Role
	}{
		"the role that may most":    {func(*login.Config) {}, map[string]any{"groups": []string{"revision", "plant-shift", "plant-desk"}}, "olga", wire.RoleSupervisor},
		"one group as a word":       {func(*login.Config) {}, map[string]any{"groups": "revision"}, "olga", wire.RoleAuditor},
		"groups within another":     {func(c *login.Config) { c.GroupsClaim = "realm_access.roles" }, map[string]any{"realm_access": map[string]any{"roles": []string{"plant-admins"}}}, "olga", wire.RoleAdmin},
		"groups named by a URL":     {func(c *login.Config) { c.GroupsClaim = "https://plant.example/groups" }, map[string]any{"https://plant.example/groups": []string{"revision"}}, "olga", wire.RoleAuditor},
		"the address as a name":     {func(*login.Config) {}, map[string]any{"preferred_username": nil, "email": "olga@plant.example", "email_verified": true}, "olga@plant.example", wire.RoleHelpdesk},
		"another claim as the name": {func(c *login.Config) { c.NameClaim = "badge_name" }, map[string]any{"badge_name": "olga.k"}, "olga.k", wire.RoleHelpdesk},
		"another audience":          {func(c *login.Config) { c.Audience = "broker" }, map[string]any{"aud": "broker", "azp": "tapctl"}, "olga", wire.RoleHelpdesk},
	} {
		t.Run(says, func(t *testing.T) {
			i, b := meet(t, row.config)
			c, err := b.Verify(t.Context(), i.Mint(with(i, row.claims)))
			if err != nil || c.Name != row.name || c.Role != row.role {
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
}

func TestKeysAreChangedWhileTheBrokerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, b := meet(t, func(*login.Config) {})
		good := func(token string) {
			t.Helper()
			if _, err := b.Verify(t.Context(), token); err != nil {
				t.Error(err)
			}
		}
		good(i.Mint(i.Usual()))
		for range 3 {
			later(t, 10*time.Second)
			i.Rotate()
			good(i.Mint(i.Usual()))
			good(i.MintOld(i.Usual()))
		}
		i.Withdraw()
		later(t, 10*time.Second)
		_, err := b.Verify(t.Context(), i.MintAs("ES256", "k77", i.Usual())) // has the keys fetched
		fails(t, err, wire.Unauthenticated, "no key")
		_, err = b.Verify(t.Context(), i.MintOld(i.Usual()))
		fails(t, err, wire.Unauthenticated, "no key")
	})
}

// later lets time go by.
func later(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func TestAnIssuerThatIsAway(t *testing.T) {
	for says, mood := range map[string]logintest.Mood{"dead": logintest.Dead, "slow": logintest.Slow, "in trouble": logintest.Broken} {
		t.Run(says, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, b := meet(t, func(*login.Config) {})
				i.Be(mood)
				token := i.Mint(i.Usual())
				begun := time.Now()
				var g errgroup.Group
				for range 50 {
					g.Go(func() error {
						if _, err := b.Verify(t.Context(), token); wire.KindOf(err) != wire.Unavailable {
							return errors.Join(err, errors.New("want Unavailable"))
						}
						return nil
					})
				}
				if err := g.Wait(); err != nil {
					t.Error(err)
				}
				if took := time.Since(begun); took > 6*time.Second {
					t.Errorf("fifty logins waited %s", took)
				}
				if n := i.Asked(logintest.DiscoveryPath); n != 1 {
					t.Errorf("it was asked %d times", n)
				}
				i.Be(logintest.Well)
				later(t, 3*time.Second)
				good := i.Mint(i.Usual())
				if _, err := b.Verify(t.Context(), good); err != nil {
					t.Error(err)
				}
				i.Be(mood) // keys that are known serve on, also past the time at which the document is read again
				later(t, 2*time.Hour)
				if _, err := b.Verify(t.Context(), i.Mint(i.Usual())); err != nil {
					t.Error(err)
				}
				later(t, 10*time.Second)
				_, err := b.Verify(t.Context(), i.MintAs("ES256", "k99", i.Usual()))
				fails(t, err, wire.Unavailable, "does not answer")
			})
		})
	}
}

func TestWhoGivesUpDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, b := meet(t, func(*login.Config) {})
		i.Be(logintest.Slow)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		_, err := b.Verify(ctx, i.Mint(i.Usual()))
		fails(t, err, wire.Unavailable, "does not answer")
		if took := time.Since(begun); took > time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestFaultsOfTheConfiguration(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.pem")
	if err := os.WriteFile(broken, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := login.Config{
		Issuer: "http://login.plant.example", Scopes: []string{"profile", "a b"}, CAFile: broken, Roles: map[string]wire.Role{"x": "king", "y": wire.RoleStation},
	}
	said := errors.Join(bad.Check()...).Error()
	for _, want := range []string{"oidc.issuer: http://login.plant.example: want https", "oidc.client_id", "oidc.scopes: want openid", `"a b"`, `x: "king"`, `y: "station"`, "oidc.ca_file"} {
		if !strings.Contains(said, want) {
			t.Errorf("no word of %s:\n%s", want, said)
		}
	}
	if faults := config().Check(); len(faults) > 0 {
		t.Error(faults)
	}
	if _, err := login.New(bad, zap.NewNop(), time.Now); err == nil {
		t.Error("it was taken")
	}
}

func TestTheIssuerIsAskedBeforehand(t *testing.T) {
	i, ca := logintest.Serve(t)
	cfg := config()
	cfg.Issuer, cfg.CAFile = i.URL, ca
	if a := login.Ask(t.Context(), cfg, time.Now); len(a.Faults) > 0 || !strings.Contains(strings.Join(a.Lines, " "), "keys 1") {
		t.Errorf("got %v", a)
	}
	for says, row := range map[string]struct {
		change func(*login.Config)
		mood   logintest.Mood
		text   string
	}{
		"a slash too many":  {func(c *login.Config) { c.Issuer += "/" }, logintest.Well, "letter for letter"},
		"no root":           {func(c *login.Config) { c.CAFile = "" }, logintest.Well, "certificate"},
		"another path":      {func(c *login.Config) { c.Issuer += "/realm" }, logintest.Well, "404"},
		"nobody there":      {func(*login.Config) {}, logintest.Dead, "discovery document"},
		"one in trouble":    {func(*login.Config) {}, logintest.Broken, "500"},
		"nobody listens at": {func(c *login.Config) { c.Issuer = "https://127.0.0.1:1" }, logintest.Well, "discovery document"},
	} {
		t.Run(says, func(t *testing.T) {
			i.Be(row.mood)
			bad := cfg
			bad.Roles = maps.Clone(cfg.Roles)
			row.change(&bad)
			a := login.Ask(t.Context(), bad, time.Now)
			if len(a.Faults) == 0 || !strings.Contains(errors.Join(a.Faults...).Error(), row.text) {
				t.Errorf("got %v, want %q", a.Faults, row.text)
			}
		})
	}
}

// FuzzVerify: whatever is shown, nobody gets in who was not signed for, and nothing panics.
func FuzzVerify(f *testing.F) {
	i := logintest.New(f, address)
	b, err := login.New(config(), zap.NewNop(), time.Now)
	if err != nil {
		f.Fatal(err)
	}
	b.Through(i)
	good := i.Mint(i.Usual())
	f.Add(good)
	f.Add(i.MintAs("none", "k1", i.Usual()))
	f.Add("a.b.c")
	f.Add("{}")
	f.Fuzz(func(t *testing.T, token string) {
		c, err := b.Verify(t.Context(), token)
		if err == nil && (token != good || c.Name != "olga") {
			t.Errorf("%q let %s in", token, c.Name)
		}
	})
}
