package openbao

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tapline/broker/openbao/openbaotest"
	"tapline/broker/vault"
)

const canary = "canary-4711-Secret"

type rig struct {
	t      *testing.T
	server *openbaotest.Server
	mu     sync.Mutex
	now    time.Time
	log    bytes.Buffer
	errs   []error
	c      *Client
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, now: time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC)}
	r.server = openbaotest.Start(t, r.clock)
	r.c = r.client(r.config())
	return r
}

func (r *rig) config() Config {
	return Config{
		Address: r.server.Address(), Mount: openbaotest.Mount, Namespace: openbaotest.Namespace, CAFile: r.server.CAFile(), Timeout: time.Second,
		Auth: Auth{AppRole: &AppRole{RoleID: openbaotest.RoleID, SecretIDFile: r.server.SecretIDFile()}},
	}
}

func (r *rig) client(cfg Config) *Client {
	r.t.Helper()
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(&r.log)), zap.DebugLevel))
	c, err := New(cfg, log, r.clock)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// want holds what a call said against what it should, and keeps the error for whoever looks for secrets.
func (r *rig) want(says string, err, want error) {
	r.t.Helper()
	if err != nil {
		r.errs = append(r.errs, err)
	}
	if !errors.Is(err, want) || want == nil && err != nil {
		r.t.Errorf("%s: %v, want %v", says, err, want)
	}
}

func TestWhoeverComesFirstHasThePath(t *testing.T) {
	for row, rights := range map[string][]string{"without the right to update": {"create", "read"}, "with it": {"create", "update", "read"}} {
		r := newRig(t)
		r.server.Do(func() { r.server.Rights["data"] = rights })
		is, err := r.c.Create(t.Context(), "svc/shared/1", vault.Secret(canary))
		r.want(row+", first", err, nil)
		if string(is) != canary {
			t.Errorf("%s: %q", row, is)
		}
		is, err = r.c.Create(t.Context(), "svc/shared/1", vault.Secret("another"))
		r.want(row+", second", err, nil)
		if string(is) != canary {
			t.Errorf("%s: the second is given %q", row, is)
		}
		got, err := r.c.Get(t.Context(), "svc/shared/1")
		r.want(row+", read", err, nil)
		if string(got) != canary || r.server.Kept()["tapline/svc/shared/1"] != canary {
			t.Errorf("%s: read %q", row, got)
		}
		r.want(row+", deleted", r.c.Delete(t.Context(), "svc/shared/1"), nil)
		r.want(row+", deleted twice", r.c.Delete(t.Context(), "svc/shared/1"), nil)
		_, err = r.c.Get(t.Context(), "svc/shared/1")
		r.want(row+", gone", err, ErrMissing)
	}
}

func TestADeletedSecretIsMissing(t *testing.T) {
	r := newRig(t)
	r.server.Do(func() { r.server.Rights["data"] = []string{"create", "update", "read"} })
	_, err := r.c.Create(t.Context(), "svc/shared/1", vault.Secret(canary))
	r.want("kept", err, nil)
	r.server.SoftDelete()
	_, err = r.c.Get(t.Context(), "svc/shared/1")
	r.want("read", err, ErrMissing)
	is, err := r.c.Create(t.Context(), "svc/shared/1", vault.Secret("another"))
	r.want("kept again", err, nil)
	if len(is) != 0 {
		t.Errorf("the path is used up, and it gives %q", is)
	}
}

// TestFaultsAreToldAndTellNothing lets the server fail in each way, one that throws the request back at us included.
func TestFaultsAreToldAndTellNothing(t *testing.T) {
	for row, c := range map[string]struct {
		fail func(*openbaotest.Server)
		want error
		says string
	}{
		"sealed":          {func(s *openbaotest.Server) { s.Sealed = true }, ErrAway, "sealed"},
		"failing":         {func(s *openbaotest.Server) { s.Status = 500 }, ErrAway, "500"},
		"overloaded":      {func(s *openbaotest.Server) { s.Status = 429 }, ErrAway, "429"},
		"slow":            {func(s *openbaotest.Server) { s.Hang = true }, ErrAway, "no answer within 1s"},
		"a redirect":      {func(s *openbaotest.Server) { s.Redirect = "https://127.0.0.1:1" }, ErrAway, "another server"},
		"nonsense":        {func(s *openbaotest.Server) { s.Status = 418 }, errBad, "418"},
		"the right taken": {func(s *openbaotest.Server) { s.Rights["data"] = nil }, ErrDenied, ""},
	} {
		r := newRig(t)
		_, err := r.c.Create(t.Context(), "svc/shared/1", vault.Secret(canary))
		r.want(row+", before", err, nil)
		r.server.Do(func() { r.server.Echo = true; c.fail(r.server) })
		_, err = r.c.Create(t.Context(), "svc/shared/2", vault.Secret(canary))
		r.want(row, err, c.want)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q in it", row, err, c.says)
		}
		_, err = r.c.Get(t.Context(), "svc/shared/1")
		r.want(row+", read", err, c.want)
		r.tellsNothing(row)
	}
	r := newRig(t)
	r.server.NewSecretID()
	r.server.Do(func() { r.server.Echo = true })
	_, err := r.c.Get(t.Context(), "svc/shared/1")
	r.want("a secret ID that has ended", err, ErrAway)
	r.tellsNothing("a secret ID that has ended")
	r = newRig(t)
	r.server.Die()
	_, err = r.c.Get(t.Context(), "svc/shared/1")
	r.want("dead", err, ErrAway)
	r = newRig(t)
	other := r.config()
	other.CAFile = ""
	_, err = r.client(other).Get(t.Context(), "svc/shared/1")
	r.want("a certificate by nobody", err, ErrAway)
	if !strings.Contains(err.Error(), "ca_file") {
		t.Errorf("%v", err)
	}
}

func (r *rig) tellsNothing(row string) {
	r.t.Helper()
	told := r.log.String() + strings.Join(r.c.Conditions(), "\n")
	for _, err := range r.errs {
		told += err.Error() + "\n"
	}
	for _, s := range append(r.server.Credentials(), canary) {
		if strings.Contains(told, s) {
			r.t.Errorf("%s: a secret is told: %s", row, told)
		}
	}
}

func TestADeadVaultCostsOneCallItsTime(t *testing.T) {
	r := newRig(t)
	r.want("well", r.c.Look(t.Context()), nil)
	r.server.Do(func() { r.server.Hang = true })
	_, err := r.c.Get(t.Context(), "svc/shared/1")
	r.want("the first", err, ErrAway)
	_, _, before := r.server.Counts()
	begun := time.Now()
	for range 100 {
		_, err := r.c.Get(t.Context(), "svc/shared/1")
		r.want("another", err, ErrAway)
	}
	if _, _, calls := r.server.Counts(); calls != before || time.Since(begun) > 500*time.Millisecond {
		t.Errorf("100 calls took %s and asked %d times", time.Since(begun), calls-before)
	}
	if all := r.c.Conditions(); len(all) != 1 || !strings.Contains(all[0], "no answer") {
		t.Errorf("conditions %v", all)
	}
}

func TestACallersOwnTimeTripsNothing(t *testing.T) {
	r := newRig(t)
	r.server.Do(func() { r.server.Hang = true })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := r.c.Get(ctx, "svc/shared/1")
	r.want("its time is up", err, context.DeadlineExceeded)
	if err := r.c.Away(); err != nil {
		t.Errorf("a caller who waits for 20 ms closes the vault to all: %v", err)
	}
}

func TestRunOpensTheVaultAgain(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	gone, back := make(chan error, 10), make(chan struct{}, 10)
	running.Go(func() {
		_ = r.c.Run(ctx, Watcher{Gone: func(_ context.Context, why error) { gone <- why }, Back: func(context.Context) { back <- struct{}{} }})
	})
	defer running.Wait()
	defer cancel()
	<-back
	r.server.Do(func() { r.server.Sealed = true })
	_, err := r.c.Get(t.Context(), "svc/shared/1")
	r.want("sealed", err, ErrAway)
	if why := <-gone; !strings.Contains(why.Error(), "sealed") {
		t.Errorf("told of %v", why)
	}
	r.server.Do(func() { r.server.Sealed = false })
	<-back
	_, err = r.c.Create(t.Context(), "svc/shared/1", vault.Secret(canary))
	r.want("unsealed", err, nil)
	if all := r.c.Conditions(); len(all) != 0 || len(gone) != 0 {
		t.Errorf("conditions %v, %d alarms", all, len(gone))
	}
}

func TestTheTokenIsRenewedAndReplaced(t *testing.T) {
	r := newRig(t)
	r.want("well", r.c.Look(t.Context()), nil)
	for range 60 { // 40 h in steps of 40 min; the longest time of a token is 24 h
		r.pass(40 * time.Minute)
		r.want("later", r.c.Look(t.Context()), nil)
		_, err := r.c.Get(t.Context(), "svc/shared/1")
		r.want("nothing there", err, ErrMissing)
	}
	logins, renewals, _ := r.server.Counts()
	if logins < 2 || logins > 3 || renewals < 50 {
		t.Errorf("%d logins, %d renewals", logins, renewals)
	}
	r.server.Revoke()
	_, err := r.c.Create(t.Context(), "svc/shared/1", vault.Secret(canary))
	r.want("its token was revoked", err, nil)
	r.pass(48 * time.Hour) // asleep
	got, err := r.c.Get(t.Context(), "svc/shared/1")
	r.want("its token has ended", err, nil)
	if string(got) != canary {
		t.Errorf("%q", got)
	}
	if again, _, _ := r.server.Counts(); again != logins+2 {
		t.Errorf("%d logins, %d before", again, logins)
	}
}

func TestATokenInAFile(t *testing.T) {
	r := newRig(t)
	cfg := r.config()
	cfg.Auth = Auth{TokenFile: r.server.TokenFile(time.Hour, false)}
	r.c = r.client(cfg)
	_, err := r.c.Create(t.Context(), "svc/shared/1", vault.Secret(canary))
	r.want("with the token", err, nil)
	if all := r.c.Conditions(); len(all) != 1 || !strings.Contains(all[0], "cannot be renewed") {
		t.Errorf("conditions %v", all)
	}
	r.pass(2 * time.Hour)
	_, err = r.c.Get(t.Context(), "svc/shared/1")
	r.want("it has ended", err, ErrAway)
	r.server.TokenFile(time.Hour, true)
	r.c.looked(r.c.Look(t.Context()), false)
	_, err = r.c.Get(t.Context(), "svc/shared/1")
	r.want("a new one lies there", err, nil)
	r.tellsNothing("a token in a file")
}

func TestManyWhoComeAtOnceLogInOnce(t *testing.T) {
	r := newRig(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { _, _ = r.c.Get(t.Context(), "svc/shared/1") })
	}
	all.Wait()
	if logins, _, _ := r.server.Counts(); logins != 1 {
		t.Errorf("%d logins", logins)
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	for row, c := range map[string]struct {
		fail func(*rig, *Config)
		want string
	}{
		"nothing":         {func(*rig, *Config) {}, ""},
		"sealed":          {func(r *rig, _ *Config) { r.server.Do(func() { r.server.Sealed = true }) }, "it is sealed; is it started and unsealed"},
		"dead":            {func(r *rig, _ *Config) { r.server.Die() }, "no connection"},
		"no such role":    {func(_ *rig, c *Config) { c.Auth.AppRole.RoleID = "other" }, "does not let the role in"},
		"no such mount":   {func(_ *rig, c *Config) { c.Mount = "other" }, "bao secrets enable -path=other -version=2 kv"},
		"no right":        {func(r *rig, _ *Config) { r.server.Do(func() { delete(r.server.Rights, "metadata") }) }, `path "kv/metadata/tapline/*" { capabilities = ["delete"] }`},
		"less than read":  {func(r *rig, _ *Config) { r.server.Do(func() { r.server.Rights["data"] = []string{"create"} }) }, "lacks the right to read"},
		"another's space": {func(_ *rig, c *Config) { c.Namespace = "other" }, "does not let the role in"},
	} {
		r := newRig(t)
		cfg := r.config()
		c.fail(r, &cfg)
		a := Ask(t.Context(), cfg, r.clock)
		told := errors.Join(a.Faults...)
		if (told != nil) != (c.want != "") || told != nil && !strings.Contains(told.Error(), c.want) {
			t.Errorf("%s: %v, want %q", row, told, c.want)
		}
		if c.want == "" && len(a.Lines) != 3 {
			t.Errorf("%s: %v", row, a.Lines)
		}
	}
}

func TestConfigurationsWithFaultsAreTold(t *testing.T) {
	dir := t.TempDir()
	open, good := filepath.Join(dir, "open"), filepath.Join(dir, "good")
	for path, mode := range map[string]os.FileMode{open: 0o644, good: 0o600} {
		if err := os.WriteFile(path, []byte("hvs.4711\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	right := Config{Address: "https://bao:8200", Auth: Auth{TokenFile: good}}
	if faults := right.Check(); len(faults) != 0 {
		t.Fatal(faults)
	}
	for want, change := range map[string]func(*Config){
		"openbao.address":                     func(c *Config) { c.Address = "http://bao:8200" },
		"openbao.mount":                       func(c *Config) { c.Mount = "../sys" },
		"openbao.prefix":                      func(c *Config) { c.Prefix = "a//b" },
		"openbao.namespace":                   func(c *Config) { c.Namespace = "a b" },
		"openbao.ca_file":                     func(c *Config) { c.CAFile = good },
		"openbao.timeout":                     func(c *Config) { c.Timeout = time.Minute },
		"openbao.auth":                        func(c *Config) { c.Auth = Auth{} },
		"openbao.auth.token_file":             func(c *Config) { c.Auth.TokenFile = open },
		"openbao.auth.approle.role_id":        func(c *Config) { c.Auth = Auth{AppRole: &AppRole{SecretIDFile: good}} },
		"openbao.auth.approle.secret_id_file": func(c *Config) { c.Auth = Auth{AppRole: &AppRole{RoleID: "r"}} },
	} {
		c := right
		change(&c)
		faults := c.Check()
		if !slices.ContainsFunc(faults, func(err error) bool { return strings.HasPrefix(err.Error(), want+":") }) || len(faults) != 1 {
			t.Errorf("%s: %v", want, faults)
		}
	}
}
