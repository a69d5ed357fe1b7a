package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tapline/broker"
	"tapline/broker/login"
	"tapline/broker/login/logintest"
	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// reader is a person who reads what the command prints on the terminal, and does once what it says.
type reader struct {
	mu   sync.Mutex // guards what follows
	said bytes.Buffer
	done bool
	do   func(code string)
}

func (r *reader) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said.Write(b)
	if m := regexp.MustCompile(`(?m)^    ([A-Z0-9]{4}-[A-Z0-9]{4})$`).FindSubmatch(r.said.Bytes()); m != nil && !r.done {
		r.done = true
		r.do(string(m[1]))
	}
	return len(b), nil
}

func (r *reader) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.String()
}

// runBefore runs a command line in front of a person.
func runBefore(t *testing.T, r *reader, args ...string) (osservice.ExitCode, string) {
	t.Helper()
	var out bytes.Buffer
	c := root(strings.NewReader(""), &out, r)
	c.SetArgs(args)
	return osservice.Execute(t.Context(), c), out.String()
}

// roles are the groups of the plant's issuer.
func roles() map[string]wire.Role {
	return map[string]wire.Role{"plant-desk": wire.RoleHelpdesk, "plant-shift": wire.RoleSupervisor}
}

func TestALoginThroughTheIssuerIsAShiftInTheRoleOfOnesGroups(t *testing.T) {
	issuer, ca := logintest.Serve(t)
	issuer.Interval = 1
	admin := houseWith(t, func(c *broker.Config) {
		c.OIDC = &login.Config{Issuer: issuer.URL, ClientID: logintest.ClientID, CAFile: ca, Roles: roles()}
	})
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	pin, address := strings.TrimSpace(good(t, "trust", "--pin", "--identity", admin)), brokerOf(t, admin)
	allow := func(code string) { issuer.Decide(code, true) }
	first := &reader{do: allow}
	code, out := runBefore(t, first, "login", "--oidc", "--broker", address, "--pin", pin, "--context", "plant-1")
	if code != osservice.OK || !strings.Contains(out, "you are olga, helpdesk, until ") || !strings.Contains(first.String(), issuer.URL+"/enter") {
		t.Fatalf("%s\n%s\n%s", code, out, first)
	}
	for _, name := range []string{certFile, keyFile, rootsFile, brokerFile} {
		i, err := os.Stat(filepath.Join(contextsDir(), "plant-1", name))
		if err != nil || i.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, i, err)
		}
	}
	if out := good(t, "whoami"); !strings.Contains(out, "role      helpdesk") {
		t.Errorf("whoami:\n%s", out)
	}
	if again := strings.TrimSpace(good(t, "trust", "--pin")); again != pin {
		t.Errorf("the pin is %s and %s", pin, again)
	}
	if code, _, said := run(t, "admin", "renew"); code != osservice.Refused || !strings.Contains(said, "log in again") {
		t.Errorf("renewal: %s\n%s", code, said)
	}

	// The next day she is in another group, and the context knows the broker.
	issuer.Claims["groups"] = []string{"plant-shift", "plant-desk"}
	if code, out := runBefore(t, &reader{do: allow}, "login", "--oidc", "-o", "json"); code != osservice.OK || !strings.Contains(out, `"role": "supervisor"`) {
		t.Errorf("%s\n%s", code, out)
	}
	acts := good(t, "acts", "list", "--actor", "olga", "-o", "json", "--identity", admin)
	if !strings.Contains(acts, `"role": "helpdesk"`) || !strings.Contains(acts, `"role": "supervisor"`) || !strings.Contains(acts, "Login") {
		t.Errorf("acts:\n%s", acts)
	}
	if list := good(t, "admin", "list", "--identity", admin); !strings.Contains(list, "oidc") {
		t.Errorf("list:\n%s", list)
	}

	// Who is in no group with a role is told which claim, and nothing of others' groups.
	issuer.Claims["groups"] = []string{"canteen"}
	r := &reader{do: allow}
	if code, _ := runBefore(t, r, "login", "--oidc"); code != osservice.NotPermitted || !strings.Contains(r.String(), "claim groups") || strings.Contains(r.String(), "plant-desk") {
		t.Errorf("%s\n%s", code, r)
	}
	r = &reader{do: func(code string) { issuer.Decide(code, false) }}
	if code, _ := runBefore(t, r, "login", "--oidc"); code != osservice.NotPermitted || !strings.Contains(r.String(), "refused at the issuer") {
		t.Errorf("%s\n%s", code, r)
	}

	// A revoked officer stays out, whatever the issuer says, and another person does not get the name.
	good(t, "admin", "revoke", "olga", "--reason", "left", "--identity", admin)
	issuer.Claims["groups"] = "plant-desk"
	r = &reader{do: allow}
	if code, _ := runBefore(t, r, "login", "--oidc"); code != osservice.NotPermitted || !strings.Contains(r.String(), "was revoked") {
		t.Errorf("%s\n%s", code, r)
	}
	good(t, "admin", "readmit", "olga", "--identity", admin)
	issuer.Claims["sub"] = "another olga"
	r = &reader{do: allow}
	if code, _ := runBefore(t, r, "login", "--oidc"); code != osservice.NotPermitted || !strings.Contains(r.String(), "belongs to another") {
		t.Errorf("%s\n%s", code, r)
	}

	// The issuer is away: the login says so, and nothing else is slower for it.
	issuer.Be(logintest.Dead)
	r = &reader{do: allow}
	if code, _ := runBefore(t, r, "login", "--oidc"); code != osservice.Unavailable || !strings.Contains(r.String(), "issuer "+issuer.URL) {
		t.Errorf("%s\n%s", code, r)
	}
	good(t, "status", "--identity", admin)
}

func TestALoginThroughTheIssuerNeedsABrokerThatOneKnows(t *testing.T) {
	admin := house(t)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	address, pin := brokerOf(t, admin), strings.TrimSpace(good(t, "trust", "--pin", "--identity", admin))
	for line, want := range map[string]struct {
		code osservice.ExitCode
		says string
	}{
		"login --oidc":                              {osservice.Usage, "--pin"},
		"login --oidc --broker " + address:          {osservice.Usage, "--pin"},
		"login --oidc --pin " + pin:                 {osservice.Usage, "--broker"},
		"login --pin " + pin:                        {osservice.Usage, "--oidc"},
		"login --oidc --token x":                    {osservice.Usage, "one of them"},
		"login --oidc --pin 12 --broker " + address: {osservice.Usage, "64 hex digits"},
		"login --oidc --timeout 3s --broker " + address + " --pin " + strings.Repeat("0", 64): {osservice.Unavailable, "pinned root"},
		"login --oidc --broker " + address + " --pin " + pin:                                  {osservice.Refused, "invitations alone"},
	} {
		if code, _, said := run(t, strings.Fields(line)...); code != want.code || !strings.Contains(said, want.says) {
			t.Errorf("tapctl %s: %s\n%s", line, code, said)
		}
	}
}

// at is a device flow at an issuer of the test, without a network.
func at(t *testing.T, i *logintest.Issuer, through http.RoundTripper) *device {
	t.Helper()
	d := &device{issuer: i.URL, client: &http.Client{Transport: patient{through, 10 * time.Second}}}
	d.config.ClientID, d.config.Scopes = logintest.ClientID, []string{"openid"}
	d.config.Endpoint.DeviceAuthURL, d.config.Endpoint.TokenURL = i.URL+logintest.DevicePath, i.URL+logintest.TokenPath
	d.config.Endpoint.AuthStyle = 1 // in the form: it has no secret
	return d
}

func TestWaitingForAPerson(t *testing.T) {
	for says, row := range map[string]struct {
		person func(*logintest.Issuer, string)
		change func(*logintest.Issuer, *device)
		want   osservice.ExitCode
		text   string
		most   time.Duration
	}{
		"who is quick":              {func(i *logintest.Issuer, code string) { i.Decide(code, true) }, nil, osservice.OK, "", 6 * time.Second},
		"who takes two minutes":     {func(i *logintest.Issuer, code string) { after(2*time.Minute, func() { i.Decide(code, true) }) }, nil, osservice.OK, "", 130 * time.Second},
		"who refuses":               {func(i *logintest.Issuer, code string) { i.Decide(code, false) }, nil, osservice.NotPermitted, "refused at the issuer", 6 * time.Second},
		"who went home":             {func(*logintest.Issuer, string) {}, nil, osservice.NotPermitted, "in time", 11 * time.Minute},
		"at an issuer that is slow": {func(i *logintest.Issuer, code string) { after(time.Minute, func() { i.Decide(code, true) }) }, func(i *logintest.Issuer, _ *device) { i.Interval = 20 }, osservice.OK, "", 90 * time.Second},
		"while the issuer restarts": {func(i *logintest.Issuer, code string) {
			i.Be(logintest.Dead)
			after(time.Minute, func() { i.Be(logintest.Well); i.Decide(code, true) })
		}, nil, osservice.OK, "", 4 * time.Minute},
		"while it is in trouble": {func(i *logintest.Issuer, code string) {
			i.Be(logintest.Broken)
			after(time.Minute, func() { i.Be(logintest.Well); i.Decide(code, true) })
		}, nil, osservice.OK, "", 4 * time.Minute},
		"as a client nobody knows":   {func(*logintest.Issuer, string) {}, func(_ *logintest.Issuer, d *device) { d.config.ClientID = "else" }, osservice.Config, "does not take the client else", time.Second},
		"without asking for a token": {func(*logintest.Issuer, string) {}, func(_ *logintest.Issuer, d *device) { d.config.Scopes = []string{"profile"} }, osservice.Config, "scopes profile", time.Second},
	} {
		t.Run(says, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := logintest.New(t, "https://login.plant.example")
				d := at(t, i, i)
				if row.change != nil {
					row.change(i, d)
				}
				begun := time.Now()
				a, err := d.begin(t.Context())
				var token string
				if err == nil {
					row.person(i, a.UserCode)
					token, err = waitWith(t.Context(), io.Discard, d, a)
				}
				if took := time.Since(begun); osservice.CodeOf(err) != row.want && (err != nil || row.want != osservice.OK) || took > row.most {
					t.Errorf("after %s: %v", took, err)
				}
				if row.text != "" && (err == nil || !strings.Contains(err.Error(), row.text)) || (row.want == osservice.OK) != (token != "") {
					t.Errorf("%v, want %q", err, row.text)
				}
			})
		})
	}
}

// after does something later; a bubble of synctest waits for it.
func after(d time.Duration, do func()) { time.AfterFunc(d, do) }

// liar answers everything with one answer.
type liar struct {
	code int
	body string
}

func (l liar) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: l.code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(l.body)), Request: r,
	}, nil
}

func TestAnswersOfAnIssuerThatMakeNoSense(t *testing.T) {
	i := logintest.New(t, "https://login.plant.example")
	for body, says := range map[string]string{
		`{}`: "no code and page",
		`{"device_code":"d","user_code":"u","verification_uri":"javascript:alert(1)"}`:         "no code and page",
		`{"device_code":"d","user_code":"u","verification_uri":"http://login.plant.example/"}`: "no code and page",
		`<html>`:                       "",
		`{"error":"\u001b[2Jinvalid"}`: "",
	} {
		_, err := at(t, i, liar{200, body}).begin(t.Context())
		if err == nil || !strings.Contains(err.Error(), says) || strings.ContainsRune(err.Error(), '\x1b') {
			t.Errorf("%s: %v", body, err)
		}
	}
	_, err := at(t, i, liar{400, `{"error":"\u001b[2Jinvalid"}`}).begin(t.Context())
	if err == nil || strings.ContainsRune(err.Error(), '\x1b') {
		t.Errorf("got %q", err)
	}
	a, err := at(t, i, liar{200, `{"device_code":"d","user_code":"u","verification_uri":"https://x/","interval":-7,"expires_in":99999999}`}).begin(t.Context())
	if err != nil || a.Interval != usualPoll || time.Until(a.Expiry) > longestCode {
		t.Errorf("got %+v, %v", a, err)
	}
	synctest.Test(t, func(t *testing.T) {
		a, err := at(t, i, i).begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := at(t, i, liar{200, `{"access_token":"x","token_type":"Bearer"}`}).wait(t.Context(), a, func(string) {}); err == nil || !strings.Contains(err.Error(), "no ID token") {
			t.Errorf("got %v", err)
		}
	})
	for says, doc := range map[string]string{"calls itself": `{"issuer":"https://evil.example"}`, "no device flow": `{"issuer":"https://login.plant.example"}`} {
		_, err := findDevice(t.Context(), &taplinev1.GetLoginResponse{Issuer: "https://login.plant.example"}, time.Second, liar{200, doc})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v", errors.Join(err))
		}
	}
}
