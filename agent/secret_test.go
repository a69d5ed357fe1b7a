package agent

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"tapline/agent/brokertest"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

const secretCanary = "canary-4711-Secret"

// TestTheSecretOfTheSessionIsHandedOutAfterItsRecord fetches the secret as root or the agent's own account does, and sets one by the account hook; after that
// it looks for it in all that the agent wrote.
func TestTheSecretOfTheSessionIsHandedOutAfterItsRecord(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs: a local API")
	}
	p := newPress(t)
	p.broker.Secret = secretCanary
	set := filepath.Join(t.TempDir(), "set")
	hook := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\necho \"$1\" > \"$0.name\"; cat > "+set+"; cat "+set+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.cfg.AccountHook = []string{hook}
	p.broker.Commands = func() []*taplinev1.StreamCommandsResponse {
		return []*taplinev1.StreamCommandsResponse{{
			Command: "r-1",
			What:    &taplinev1.StreamCommandsResponse_RotateAccount{RotateAccount: &taplinev1.RotateAccount{Account: brokertest.Account, Rotation: "r-1"}},
		}}
	}
	p.start()
	p.connected()
	p.until("the rotation was reported", func() bool { return len(p.broker.Reports()) > 0 })
	if r := p.broker.Reports()[0]; !r.GetDone() || r.GetRotation() != "r-1" {
		t.Errorf("reported %v", r)
	}
	if b, err := os.ReadFile(set); err != nil || string(b) != secretCanary {
		t.Errorf("the hook got %q, %v", b, err)
	}
	if _, err := p.local.FetchSecret(t.Context(), &taplinev1.FetchSecretRequest{}); wire.KindOf(err) != wire.NotFound {
		t.Errorf("without a session: %v", err)
	}
	who := p.tap("left", "ann")
	if _, err := p.local.FetchSecret(t.Context(), &taplinev1.FetchSecretRequest{Session: "another"}); wire.KindOf(err) != wire.NotFound {
		t.Errorf("for another session: %v", err)
	}
	r, err := p.local.FetchSecret(t.Context(), &taplinev1.FetchSecretRequest{Session: who.GetSession()})
	if err != nil || string(r.GetSecret()) != secretCanary || r.GetAccount() != brokertest.Account {
		t.Errorf("%v, %v", r.GetAccount(), err)
	}
	p.stop()
	recorded := 0
	for where, b := range p.everything() {
		for _, s := range []string{secretCanary, base64.StdEncoding.EncodeToString([]byte(secretCanary))} {
			if bytes.Contains(b, []byte(s)) {
				t.Errorf("the secret is in %s", where)
			}
		}
	}
	for _, raw := range p.broker.Station(pressName).Records {
		e, err := record.ParseEnvelope(raw)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := e.Payload()
		if err != nil || bytes.Contains(e.Bytes(), []byte(secretCanary)) {
			t.Errorf("record %d: %v", payload.Seq, err)
		}
		if payload.Type == record.SecretReleased {
			recorded++
		}
	}
	if recorded != 1 {
		t.Errorf("%d records of a release, want 1", recorded)
	}
}
