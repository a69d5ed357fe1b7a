package broker

import (
	"strings"
	"testing"
	"time"

	"tapline/broker/openbao"
	"tapline/broker/openbao/openbaotest"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// eventually waits for something that the broker does by itself.
func eventually(t *testing.T, says string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not in 20 s: %s", says)
		}
	}
}

func TestTheOutsideVaultIsToldOfWhileItIsAway(t *testing.T) {
	s := openbaotest.Start(t, time.Now)
	p := newPlantWith(t, func(c *Config) {
		c.OpenBao = &openbao.Config{
			Address: s.Address(), Mount: openbaotest.Mount, Namespace: openbaotest.Namespace, CAFile: s.CAFile(), Timeout: time.Second,
			Auth: openbao.Auth{AppRole: &openbao.AppRole{RoleID: openbaotest.RoleID, SecretIDFile: s.SecretIDFile()}},
		}
	})
	_, err := p.admin.PutAccount(t.Context(), &taplinev1.PutAccountRequest{Account: &taplinev1.Account{Id: "svc", Driver: "manual", Vault: "openbao"}})
	p.must(err)
	set := func() (*taplinev1.SetAccountSecretResponse, error) {
		return p.admin.SetAccountSecret(t.Context(), &taplinev1.SetAccountSecretRequest{Account: "svc", Secret: []byte("canary-4711")})
	}
	r, err := set()
	p.must(err)
	if r.GetSecret().GetKept() != "openbao" || s.Kept()["tapline/svc/shared/1"] != "canary-4711" {
		t.Errorf("%v; the vault has %d secrets", r, len(s.Kept()))
	}
	told := func() (condition, alarm bool) {
		status, err := p.admin.GetHealth(t.Context(), &taplinev1.GetHealthRequest{})
		p.must(err)
		alarms, err := p.admin.ListAlarms(t.Context(), &taplinev1.ListAlarmsRequest{OpenOnly: true})
		p.must(err)
		for _, a := range alarms.GetAlarms() {
			alarm = alarm || a.GetKind() == "vault-away"
		}
		return strings.Contains(strings.Join(status.GetConditions(), "\n"), "it is sealed"), alarm
	}
	s.Do(func() { s.Sealed = true })
	_, err = set()
	refused(t, err, wire.Unavailable, "nothing was changed")
	eventually(t, "condition and alarm", func() bool { c, a := told(); return c && a })
	s.Do(func() { s.Sealed = false })
	eventually(t, "condition and alarm go", func() bool { c, a := told(); return !c && !a })
	r, err = set()
	p.must(err)
	if r.GetSecret().GetVersion() != 2 {
		t.Errorf("%v", r)
	}
}

func TestAVaultThatIsNotConfiguredIsRefused(t *testing.T) {
	p := newPlant(t)
	_, err := p.admin.PutAccount(t.Context(), &taplinev1.PutAccountRequest{Account: &taplinev1.Account{Id: "svc", Driver: "manual", Vault: "openbao"}})
	refused(t, err, wire.Precondition, "set openbao in its configuration")
	_, err = p.admin.PutAccount(t.Context(), &taplinev1.PutAccountRequest{Account: &taplinev1.Account{Id: "svc", Driver: "manual", Vault: "other"}})
	refused(t, err, wire.Invalid, "account.vault")
}
