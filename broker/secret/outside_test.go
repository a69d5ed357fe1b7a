package secret

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tapline/broker/openbao"
	"tapline/broker/openbao/openbaotest"
	"tapline/broker/store"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// withVault is a plant whose account "svc" has its secret in a vault.
func withVault(t *testing.T) (*plant, *openbaotest.Server) {
	t.Helper()
	p := newPlant(t)
	s := openbaotest.Start(t, time.Now)
	s.Do(func() { s.Echo = true })
	client, err := openbao.New(openbao.Config{
		Address: s.Address(), Mount: openbaotest.Mount, Namespace: openbaotest.Namespace, CAFile: s.CAFile(), Timeout: time.Second,
		Auth: openbao.Auth{AppRole: &openbao.AppRole{RoleID: openbaotest.RoleID, SecretIDFile: s.SecretIDFile()}},
	}, p.log, time.Now)
	p.must(err)
	p.outside = &kicked{Client: client}
	p.k = p.keeper()
	p.do(func(tx *store.Tx) error {
		_, err := tx.PutAccount(&taplinev1.Account{Id: "svc", Driver: "ldap", Vault: "openbao"})
		return err
	})
	return p, s
}

// kicked is a client that is looked after at each call: there is no Run here.
type kicked struct{ *openbao.Client }

func TestAChangeWithAVaultSurvivesACrashAtEachStep(t *testing.T) {
	for _, done := range []bool{false, true} {
		for step := 1; ; step++ {
			p, s := withVault(t)
			crashed := false
			p.set("svc", "", canary)
			l := p.open(press, "s-1", "svc")
			if got, err := p.fetch(l); err != nil || got != canary {
				t.Fatalf("%q, %v", got, err)
			}
			p.end(l)
			left, real := step, p.k.update
			p.k.update = func(ctx context.Context, do func(*store.Tx) error) error {
				left--
				switch {
				case left > 0:
					return real(ctx, do)
				case left == 0 && done:
					if err := real(ctx, do); err != nil {
						return err
					}
				}
				crashed = true
				return errCrash
			}
			_ = p.look(3 * lookEvery)
			row := fmt.Sprintf("update %d, done %v", step, done)
			p.check(row)
			p.k = p.keeper()
			p.must(p.look(10 * time.Minute))
			p.endsWell(row, s)
			if !crashed {
				break
			}
		}
	}
}

// endsWell holds that the secret in force opens the account and lies in the vault alone, and in the end nothing else does.
func (p *plant) endsWell(row string, s *openbaotest.Server) {
	p.t.Helper()
	is := p.status("svc")
	if is.GetState() != stateCurrent || is.GetVersion() < 2 || is.GetVersion() > 3 || is.GetKept() != "openbao" || p.directory.passwords["svc"] == canary {
		p.t.Errorf("%s: in the end %v", row, is)
	}
	if got, err := p.fetch(p.open(press, "s-9", "svc")); err != nil || got != p.directory.passwords["svc"] {
		p.t.Errorf("%s: handed out in the end: %q, %v", row, got, err)
	}
	p.now = p.now.Add(2 * time.Hour) // the old one's window
	p.must(p.look(2 * lookEvery))
	path := fmt.Sprintf("tapline/svc/shared/%d", is.GetVersion())
	if kept := s.Kept(); len(kept) != 1 || kept[path] != p.directory.passwords["svc"] {
		p.t.Errorf("%s: the vault keeps %d secrets, want %s alone", row, len(kept), path)
	}
}

func TestAWriteWhoseAnswerIsLostUsesUpANumber(t *testing.T) {
	p, s := withVault(t)
	p.set("svc", "", canary)
	s.Do(func() { s.LoseWrites = true })
	_, err := p.k.Place(t.Context(), &taplinev1.SetAccountSecretRequest{Account: "svc", Secret: []byte(canary)})
	if wire.KindOf(err) != wire.Unavailable {
		t.Errorf("its answer is lost: %v", err)
	}
	s.Do(func() { s.LoseWrites = false })
	p.must(p.outside.(*kicked).Recover(t.Context()))
	p.do(func(tx *store.Tx) error { _, err := p.k.Want(tx, "svc", "", true); return err })
	p.must(p.look(time.Minute))
	p.endsWell("a lost answer", s)
}

// TestAVaultThatIsAwayStopsItsOwnAccountsAlone also looks for the secrets in everything that the broker keeps and says.
func TestAVaultThatIsAwayStopsItsOwnAccountsAlone(t *testing.T) {
	for row, fail := range map[string]func(*openbaotest.Server){
		"sealed": func(s *openbaotest.Server) { s.Sealed = true },
		"slow":   func(s *openbaotest.Server) { s.Hang = true },
		"broken": func(s *openbaotest.Server) { s.Status = 500 },
	} {
		p, s := withVault(t)
		p.directory.passwords["other"] = "Other-secret-1"
		p.do(func(tx *store.Tx) error {
			_, err := tx.PutAccount(&taplinev1.Account{Id: "other", Driver: "ldap"})
			return err
		})
		p.set("svc", "", canary)
		p.set("other", "", "Other-secret-1")
		l := p.open(press, "s-1", "svc")
		if _, err := p.fetch(l); err != nil {
			t.Fatal(err)
		}
		p.end(l)
		s.Do(func() { fail(s) })
		p.do(func(tx *store.Tx) error { _, err := p.k.Want(tx, "other", "", true); return err })
		p.must(p.look(3 * time.Minute))
		if is := p.status("other"); is.GetVersion() != 2 || is.GetState() != stateCurrent || is.GetKept() != "store" {
			t.Errorf("%s: another account: %v", row, is)
		}
		if is := p.status("svc"); is.GetVersion() != 1 || is.GetReason() != saidVault || is.GetTries() != 0 || slices.Contains(p.alarms(), "rotation-stuck") {
			t.Errorf("%s: %v, alarms %v", row, is, p.alarms())
		}
		begun := time.Now()
		l = p.open(press, "s-2", "svc")
		if took := time.Since(begun); took > 500*time.Millisecond {
			t.Errorf("%s: a tap took %s", row, took)
		}
		if _, err := p.fetch(l); wire.KindOf(err) != wire.Unavailable {
			t.Errorf("%s: its secret is asked for: %v, want Unavailable", row, err)
		}
		p.end(l)
		s.Do(func() { s.Sealed, s.Hang, s.Status = false, false, 0 })
		p.must(p.outside.(*kicked).Recover(t.Context()))
		p.must(p.look(time.Minute))
		p.endsWell(row, s)
		places := map[string][]byte{"log": p.logged()}
		_, places["records"] = p.records()
		files, err := filepath.Glob(filepath.Join(p.dir, "*"))
		p.must(err)
		for _, f := range files {
			places[f], err = os.ReadFile(f)
			p.must(err)
		}
		for where, b := range places {
			for _, secret := range append(s.Credentials(), canary, p.directory.passwords["svc"]) {
				if bytes.Contains(b, []byte(secret)) {
					t.Errorf("%s: a secret is in %s", row, where)
				}
			}
		}
	}
}

// Recover looks at the vault as Run does.
func (k *kicked) Recover(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return k.Run(ctx, openbao.Watcher{Gone: func(context.Context, error) {}, Back: func(context.Context) { cancel() }})
}

func TestAnAccountMovesFromTheStoreToTheVaultAndBack(t *testing.T) {
	p, s := withVault(t)
	put := func(vault string) {
		p.do(func(tx *store.Tx) error {
			_, err := tx.PutAccount(&taplinev1.Account{Id: "svc", Driver: "ldap", Vault: vault})
			return err
		})
	}
	put("")
	p.set("svc", "", canary)
	put("openbao")
	p.do(func(tx *store.Tx) error { _, err := p.k.Want(tx, "svc", "", true); return err })
	p.must(p.look(time.Minute))
	if is := p.status("svc"); is.GetKept() != "openbao" || is.GetVersion() != 2 {
		t.Errorf("%v, want it in the vault", is)
	}
	put("")
	p.do(func(tx *store.Tx) error { _, err := p.k.Want(tx, "svc", "", true); return err })
	p.must(p.look(time.Minute))
	p.now = p.now.Add(2 * time.Hour)
	p.must(p.look(2 * lookEvery))
	if is := p.status("svc"); is.GetKept() != "store" || is.GetVersion() != 3 || len(s.Kept()) != 0 {
		t.Errorf("back in the store: %v, the vault keeps %d", is, len(s.Kept()))
	}
	if got, err := p.fetch(p.open(press, "s-1", "svc")); err != nil || got != p.directory.passwords["svc"] {
		t.Errorf("%q, %v", got, err)
	}
	if strings.Contains(string(p.logged()), canary) {
		t.Error("it is in the log")
	}
}
