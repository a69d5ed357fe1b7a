package grant

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"tapline/proto/record"
)

const press = record.StationID("plant/press/line-4/hmi-1")

var issued = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func brokerKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

func signed(t *testing.T, b Bundle) []byte {
	t.Helper()
	e, err := record.SignStatement(PayloadType, b, brokerKey())
	if err != nil {
		t.Fatal(err)
	}
	return e.Bytes()
}

func sample() Bundle {
	return Bundle{
		Version: Version, Station: press, Sequence: 7, IssuedAt: issued, NotAfter: issued.AddDate(0, 0, 14), Policy: "abc",
		Tiers:  DefaultTiers(),
		Grants: []Grant{{Badge: Ref(key(press), []byte("uid\x0032\x00\x01\x02\x03\x04")), Person: Person{ID: "p-1", DisplayName: "Anna B."}}},
	}
}

func key(s record.StationID) []byte {
	k, err := StationKey(make([]byte, KeySize), s)
	if err != nil {
		panic(err)
	}
	return k
}

func TestABundleNamesTheBadgeThatWasPresented(t *testing.T) {
	table, err := Open(signed(t, sample()), record.PublicKeyOf(brokerKey()), press)
	if err != nil {
		t.Fatal(err)
	}
	g, ok := table.Lookup(Ref(key(press), []byte("uid\x0032\x00\x01\x02\x03\x04")))
	if !ok || g.Person.ID != "p-1" {
		t.Errorf("got %+v, %v, want p-1", g, ok)
	}
	if _, ok := table.Lookup(Ref(key("plant/press/line-4/hmi-2"), []byte("uid\x0032\x00\x01\x02\x03\x04"))); ok {
		t.Error("the hash of another station names a badge here")
	}
}

func TestBundlesThatAreRefused(t *testing.T) {
	other := ed25519.NewKeyFromSeed([]byte("0123456789abcdef0123456789abcdef"))
	twice := sample()
	twice.Grants = append(twice.Grants, twice.Grants[0])
	old := sample()
	old.NotAfter = old.IssuedAt
	version := sample()
	version.Version = 2
	rows := map[string]struct {
		envelope []byte
		key      record.PublicKey
		station  record.StationID
		want     error // nil for any
	}{
		"signed by somebody else":       {signed(t, sample()), record.PublicKeyOf(other), press, nil},
		"for another station":           {signed(t, sample()), record.PublicKeyOf(brokerKey()), "plant/press/line-4/hmi-2", ErrWrongStation},
		"a badge in it twice":           {signed(t, twice), record.PublicKeyOf(brokerKey()), press, ErrMalformed},
		"over before it began":          {signed(t, old), record.PublicKeyOf(brokerKey()), press, ErrMalformed},
		"a version we do not know":      {signed(t, version), record.PublicKeyOf(brokerKey()), press, ErrVersion},
		"cut off":                       {signed(t, sample())[:100], record.PublicKeyOf(brokerKey()), press, nil},
		"nothing at all":                {nil, record.PublicKeyOf(brokerKey()), press, nil},
		"a record instead of a bundle ": {[]byte(`{"payload":"e30=","payloadType":"x","signatures":[]}`), record.PublicKeyOf(brokerKey()), press, nil},
	}
	for name, row := range rows {
		_, err := Open(row.envelope, row.key, row.station)
		if err == nil || (row.want != nil && !errors.Is(err, row.want)) {
			t.Errorf("%s: got %v, want %v", name, err, row.want)
		}
	}
}

func TestTiersShrinkWithAge(t *testing.T) {
	table, err := Open(signed(t, sample()), record.PublicKeyOf(brokerKey()), press)
	if err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name string
		age  time.Duration
		want TierName
	}{
		{"a clock that runs behind the broker's", -time.Hour, TierAll},
		{"fresh", 0, TierAll},
		{"a second before three days", 72*time.Hour - time.Second, TierAll},
		{"three days", 72 * time.Hour, TierEssential},
		{"a second before two weeks", 14*24*time.Hour - time.Second, TierEssential},
		{"two weeks", 14 * 24 * time.Hour, TierEmergency},
		{"a year", 365 * 24 * time.Hour, TierEmergency},
	}
	for _, row := range rows {
		if got := table.Tier(issued.Add(row.age)); got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
	}
}

func TestCircumstancesAreCountedWithoutAGap(t *testing.T) {
	seen := map[int]bool{}
	for i := range Cells {
		c := CircumstancesOf(i)
		if c.Cell() != i || seen[i] {
			t.Errorf("%d is %+v, which is %d", i, c, c.Cell())
		}
		seen[i] = true
	}
	if (Circumstances{Assurance: 200}).Cell() != 0 {
		t.Error("an assurance that nobody knows is not the weakest")
	}
}

// FuzzBundle holds that whatever a signed bundle says, it is refused or can be asked: a station must not fall over it.
func FuzzBundle(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	f.Add([]byte(`{"v":1,"station":"a/b/c/d","sequence":1,"issued_at":"2026-11-23T06:00:00Z","not_after":"2026-12-23T06:00:00Z","answers":[{"rules":["r"]},{"refusal":"shift"}],
		"outlooks":[[{"from":0,"cells":[0]},{"from":600,"cells":[1]}]],"shifts":{"s":[{"from":"2026-11-23T06:00:00Z","until":"2026-11-23T14:00:00Z"}]},
		"grants":[{"badge":"b","phases":[{"until":"2026-11-24T06:00:00Z","outlook":0},{"outlook":0}],"shifts":["s"]}]}`))
	f.Add([]byte(`{"v":1,"station":"a/b/c/d","sequence":1,"issued_at":"2026-11-23T06:00:00Z","not_after":"2026-12-23T06:00:00Z","outlooks":[[]],"grants":[{"badge":"b","phases":[{"outlook":0}]}]}`))
	f.Fuzz(func(_ *testing.T, payload []byte) {
		e, err := record.SignStatement(PayloadType, json.RawMessage(payload), key)
		if err != nil {
			return
		}
		b, err := Open(e.Bytes(), record.PublicKeyOf(key), "a/b/c/d")
		if err != nil {
			return
		}
		for _, g := range b.Bundle().Grants {
			for hours := range 100 {
				now := b.Bundle().IssuedAt.Add(time.Duration(hours) * 7 * time.Hour)
				b.Tier(now)
				b.InShift(g.Shifts, now)
				if len(g.Phases) > 0 {
					b.Answer(g, CircumstancesOf(hours%Cells), now)
				}
			}
		}
	})
}
