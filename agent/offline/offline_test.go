package offline

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapline/proto/grant"
	"tapline/proto/record"
)

const press = record.StationID("plant/press/line-4/hmi-1")

var (
	brokerKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	issued    = time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC) // a Monday
)

func bundle(t *testing.T, sequence uint64, grants ...grant.Grant) []byte {
	t.Helper()
	return bundleWith(t, sequence, func(b *grant.Bundle) { b.Grants = grants })
}

func bundleWith(t *testing.T, sequence uint64, change func(*grant.Bundle)) []byte {
	t.Helper()
	b := grant.Bundle{
		Version: grant.Version, Station: press, Sequence: sequence, IssuedAt: issued, NotAfter: issued.AddDate(0, 0, 30),
		Policy: "p1", Account: "press", Tiers: grant.DefaultTiers(), Terms: grant.Terms{SessionSeconds: 3600},
	}
	change(&b)
	e, err := record.SignStatement(grant.PayloadType, b, brokerKey)
	if err != nil {
		t.Fatal(err)
	}
	return e.Bytes()
}

func config(dir string) Config {
	return Config{Dir: dir, Station: press, Evidence: record.PublicKeyOf(brokerKey)}
}

func open(t *testing.T, dir string) *Keeper {
	t.Helper()
	k, err := Open(config(dir))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestWhatABundleGrants(t *testing.T) {
	anna := grant.Grant{Badge: "anna", Person: grant.Person{ID: "p-anna"}}
	with := func(change func(*grant.Grant)) grant.Grant {
		g := anna
		change(&g)
		return g
	}
	past := issued.Add(time.Hour)
	rows := []struct {
		name  string
		grant grant.Grant
		after time.Duration
		want  record.Reason
	}{
		{"an operator with a fresh bundle", anna, time.Hour, ""},
		{"the clock was set to before the bundle", anna, -time.Hour, ""},
		{"an operator after four days without a broker", anna, 4 * 24 * time.Hour, notOffline},
		{"an essential role after four days, which takes a PIN", with(func(g *grant.Grant) { g.Essential = true }), 4 * 24 * time.Hour, pinNeeded},
		{"an essential role after three weeks", with(func(g *grant.Grant) { g.Essential = true }), 21 * 24 * time.Hour, notOffline},
		{"anybody past the bundle's end", anna, 31 * 24 * time.Hour, notOffline},
		{"a badge that was refused when the bundle was made", with(func(g *grant.Grant) { g.Refusal = "badge-revoked" }), 0, "badge-revoked"},
		{"a visitor who works online only", with(func(g *grant.Grant) { g.OnlineOnly = true }), 0, notOffline},
		{"a certificate that has lapsed", with(func(g *grant.Grant) { g.NotAfter = &past }), time.Hour, lapsed},
		{"a badge that is too weak", with(func(g *grant.Grant) { g.MinAssurance = 3 }), 0, weakBadge},
		{"a person who needs a PIN", with(func(g *grant.Grant) { g.NeedsPIN = true }), 0, pinNeeded},
		{"within the shift", with(func(g *grant.Grant) { g.WindowMinutes = []grant.Window{{From: 360, Until: 840}} }), time.Hour, ""},
		{"after the shift", with(func(g *grant.Grant) { g.WindowMinutes = []grant.Window{{From: 360, Until: 840}} }), 8 * time.Hour, outsideShift},
		{"a shift over the end of the week", with(func(g *grant.Grant) { g.WindowMinutes = []grant.Window{{From: 10000, Until: 400}} }), 0, ""},
		{"another badge", with(func(g *grant.Grant) { g.Badge = "ben" }), 0, unknownBadge},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			k := open(t, t.TempDir())
			if err := k.Take(bundle(t, 1, row.grant)); err != nil {
				t.Fatal(err)
			}
			v := k.Decide(Ask{Badge: "anna", Assurance: 1}, issued.Add(row.after))
			if v.Refusal != row.want || v.Allowed != (row.want == "") {
				t.Errorf("allowed %t, refusal %q, want %q", v.Allowed, v.Refusal, row.want)
			}
			if v.Decision.By != "bundle" || v.Decision.Bundle != 1 {
				t.Errorf("decision %+v", v.Decision)
			}
		})
	}
}

func TestWithoutABundleNobodyIsGranted(t *testing.T) {
	v := open(t, t.TempDir()).Decide(Ask{Badge: "anna", Assurance: 4}, issued)
	if v.Allowed || v.Refusal != notOffline || v.Decision.By != "station" {
		t.Errorf("verdict %+v", v)
	}
}

func TestAnOlderBundleIsNeverTakenAgain(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	old := bundle(t, 5, grant.Grant{Badge: "anna", Person: grant.Person{ID: "p-anna"}})
	for _, b := range [][]byte{old, bundle(t, 6), bundle(t, 6)} {
		if err := k.Take(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Take(old); !errors.Is(err, ErrOlder) {
		t.Errorf("take an older bundle: %v, want ErrOlder", err)
	}
	if err := os.WriteFile(filepath.Join(dir, bundleName), old, 0o600); err != nil {
		t.Fatal(err)
	}
	k = open(t, dir)
	if v := k.Decide(Ask{Badge: "anna", Assurance: 4}, issued); v.Allowed {
		t.Error("a bundle that was put back grants")
	}
	if err := k.Take(bundle(t, 6)); err != nil {
		t.Errorf("take the newest again after it was replaced: %v", err)
	}
	if k.Have() != 6 {
		t.Errorf("have bundle %d, want 6", k.Have())
	}
}

func TestDamagedFilesAreNoReasonToStop(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{bundleName: "{}", markName: "many"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := open(t, dir).Have(); got != 0 {
		t.Errorf("have bundle %d of a damaged file", got)
	}
}

func TestABundleLivesThroughARestart(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Take(bundle(t, 3)); err != nil {
		t.Fatal(err)
	}
	if s, ok := open(t, dir).Status(issued); !ok || s.Sequence != 3 || s.Tier != grant.TierAll {
		t.Errorf("status %+v, %t", s, ok)
	}
}
