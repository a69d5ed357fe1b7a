package secret

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tapline/broker/store"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func TestASecretIsHandedToTheSessionThatHoldsTheAccount(t *testing.T) {
	p := newPlant(t)
	p.set("svc", "", canary)
	l := p.open(press, "s-1", "svc")
	if got, err := p.fetch(l); err != nil || got != canary {
		t.Fatalf("%q, %v", got, err)
	}
	types, _ := p.records()
	if !slices.Equal(types, []record.Type{record.SecretRotated, record.AdminAct}) {
		t.Errorf("recorded %v, want that it was set and that it was handed out", types)
	}
	if s := p.status("svc"); s.GetReleasedAt() == nil || s.GetVersion() != 1 || s.GetSetBy() != "olga" {
		t.Errorf("status %v", s)
	}
}

func TestNobodyElseGetsIt(t *testing.T) {
	for row, change := range map[string]struct {
		want wire.Kind
		do   func(*plant, *taplinev1.ReleaseSecretRequest, store.Lease)
	}{
		"a stale fence":            {wire.Stale, func(p *plant, r *taplinev1.ReleaseSecretRequest, _ store.Lease) { r.Fence-- }},
		"a session that has ended": {wire.Precondition, func(p *plant, _ *taplinev1.ReleaseSecretRequest, l store.Lease) { p.end(l) }},
		"a lease that has expired": {wire.Precondition, func(p *plant, _ *taplinev1.ReleaseSecretRequest, l store.Lease) { p.now = l.ExpiresAt }},
		"no session":               {wire.Unauthenticated, func(_ *plant, r *taplinev1.ReleaseSecretRequest, _ store.Lease) { r.Session = "s-0" }},
		"another key than was signed": {wire.Unauthenticated, func(_ *plant, r *taplinev1.ReleaseSecretRequest, _ store.Lease) {
			r.SessionKey = bytes.Repeat([]byte{9}, 32)
		}},
		"no proof": {wire.Unauthenticated, func(_ *plant, r *taplinev1.ReleaseSecretRequest, _ store.Lease) { r.Proof = nil }},
		"a quarantined station": {wire.Precondition, func(p *plant, _ *taplinev1.ReleaseSecretRequest, _ store.Lease) {
			p.do(func(tx *store.Tx) error {
				return tx.SetStationState(press, taplinev1.StationState_STATION_STATE_QUARANTINED, "clone")
			})
		}},
		"a station that does not sign in": {wire.Precondition, func(p *plant, _ *taplinev1.ReleaseSecretRequest, _ store.Lease) {
			p.do(func(tx *store.Tx) error {
				_, err := tx.PutStation(&taplinev1.Station{Id: string(press), Account: "svc", Mode: taplinev1.Mode_MODE_GATE})
				return err
			})
		}},
		"a session that was handed over": {wire.Precondition, func(p *plant, _ *taplinev1.ReleaseSecretRequest, _ store.Lease) { p.open(press, "s-2", "svc") }},
	} {
		p := newPlant(t)
		p.set("svc", "", canary)
		p.open(press, "s-00", "svc")
		l := p.open(press, "s-1", "svc")
		req, _ := p.request(l)
		change.do(p, req, l)
		resp, err := p.k.Release(t.Context(), press, req)
		if wire.KindOf(err) != change.want || resp != nil {
			t.Errorf("%s: %v, %v, want %s", row, resp, err, change.want)
		}
		if s := p.status("svc"); s.GetReleasedAt() != nil {
			t.Errorf("%s: it is noted as handed out", row)
		}
	}
	p := newPlant(t)
	p.set("svc", "", canary)
	l := p.open(press, "s-1", "svc")
	req, _ := p.request(l)
	if _, err := p.k.Release(t.Context(), packing, req); wire.KindOf(err) != wire.Unauthenticated {
		t.Errorf("another station: %v", err)
	}
	other := p.open(packing, "s-3", "fixed")
	if _, err := p.fetch(other); wire.KindOf(err) != wire.Precondition {
		t.Errorf("an account without a secret: %v", err)
	}
}

func TestReleasesAreBounded(t *testing.T) {
	p := newPlant(t)
	p.set("svc", "", canary)
	l := p.open(press, "s-1", "svc")
	for i := range ofStation {
		if _, err := p.fetch(l); err != nil {
			t.Fatalf("release %d: %v", i, err)
		}
	}
	if _, err := p.fetch(l); wire.KindOf(err) != wire.Busy {
		t.Errorf("one more: %v, want Busy", err)
	}
	p.now = p.now.Add(2 * time.Minute)
	if _, err := p.fetch(l); err != nil {
		t.Errorf("two minutes later: %v", err)
	}
}

// TestTheSecretIsNowhere looks for a known secret, plain and in base64, in whatever the broker keeps or says, after all that is done with one.
func TestTheSecretIsNowhere(t *testing.T) {
	p := newPlant(t)
	p.set("svc", "", canary)
	l := p.open(press, "s-1", "svc")
	if _, err := p.fetch(l); err != nil {
		t.Fatal(err)
	}
	p.directory.before = func() error { return ErrRefused }
	p.end(l)
	p.must(p.look(time.Minute))
	p.directory.before = nil
	p.must(p.look(5 * time.Minute))
	fresh := p.directory.passwords["svc"]
	if fresh == canary {
		t.Fatal("it was not changed")
	}
	places := map[string][]byte{"log": p.logged()}
	_, places["records"] = p.records()
	files, err := filepath.Glob(filepath.Join(p.dir, "*"))
	p.must(err)
	for _, f := range files { // the database and its write-ahead log
		places[f], err = os.ReadFile(f)
		p.must(err)
	}
	for where, b := range places {
		for _, s := range []string{canary, fresh, base64.StdEncoding.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte(fresh))} {
			if bytes.Contains(b, []byte(s)) {
				t.Errorf("it is in %s", where)
			}
		}
	}
	if len(places["log"]) == 0 || len(places) < 4 {
		t.Errorf("%d places were looked at: nothing is shown", len(places))
	}
}

// Whatever a station sends: an answer with a kind, and no secret without a lease.
func FuzzRelease(f *testing.F) {
	f.Add("s-1", uint64(1), make([]byte, 32), []byte("proof"), "r-1", "reason", true)
	f.Add("", uint64(0), []byte(nil), []byte(nil), "", "", false)
	f.Fuzz(func(t *testing.T, session string, fence uint64, key, proof []byte, rotation, reason string, done bool) {
		p := newPlant(t)
		p.set("svc", "", canary)
		p.open(press, "s-1", "svc")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		resp, err := p.k.Release(ctx, press, &taplinev1.ReleaseSecretRequest{Session: session, Fence: fence, SessionKey: key, Proof: proof})
		if resp != nil || wire.KindOf(err) == wire.Internal {
			t.Errorf("release: %v, %v", resp, err)
		}
		took, err := p.k.Take(ctx, press, &taplinev1.TakeRotationRequest{Rotation: rotation, SessionKey: key, Proof: proof})
		if took != nil || wire.KindOf(err) == wire.Internal {
			t.Errorf("take: %v, %v", took, err)
		}
		if _, err := p.k.Report(ctx, press, &taplinev1.ReportRotationRequest{Rotation: rotation, Done: done, Reason: reason}); wire.KindOf(err) == wire.Internal || err == nil {
			t.Errorf("report: %v", err)
		}
	})
}
