package vouch

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"tapline/proto/record"
)

const press = record.StationID("plant/press/line-4/hmi-1")

// broker is a holder of an evidence key.
type broker struct{ ed25519.PrivateKey }

// Sign signs.
func (b broker) Sign(payloadType string, payload any) (record.Envelope, error) {
	return record.SignStatement(payloadType, payload, b.PrivateKey)
}

func newBroker(t testing.TB) (broker, record.PublicKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return broker{key}, record.PublicKeyOf(key)
}

func at() time.Time { return time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC) }

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestStatementsReadBackForWhomTheyAreAndForNobodyElse(t *testing.T) {
	b, key := newBroker(t)
	_, other := newBroker(t)
	nonce := []byte(strings.Repeat("n", MinNonce))
	told := must[[]byte](t)(NewTime(b, press, nonce, at()))
	trust := must[[]byte](t)(NewTrust(b, Trust{Version: 7, Site: "plant", Roots: [][]byte{[]byte("root")}, Brokers: []string{"b:1"}, At: at()}))
	join := must[[]byte](t)(NewJoin(b, Join{Station: press, Chain: "0f9619ff-8b86-4d01-b42d-00cf4fc964ff", Sequence: 3, Serial: "ab", At: at()}))
	if got := must[time.Time](t)(OpenTime(told, key, press, nonce)); !got.Equal(at()) {
		t.Errorf("the time reads %s", got)
	}
	if got := must[Trust](t)(OpenTrust(trust, key, "plant")); got.Version != 7 || string(got.Roots[0]) != "root" || got.Brokers[0] != "b:1" {
		t.Errorf("the trust reads %+v", got)
	}
	if got := must[Join](t)(OpenJoin(join, key, press)); got.Sequence != 3 || got.Serial != "ab" {
		t.Errorf("the join reads %+v", got)
	}
	for says, open := range map[string]func() error{
		"a time with another nonce":      func() error { _, err := OpenTime(told, key, press, []byte(strings.Repeat("m", MinNonce))); return err },
		"a time for another station":     func() error { _, err := OpenTime(told, key, "a/b/c/d", nonce); return err },
		"a time by another key":          func() error { _, err := OpenTime(told, other, press, nonce); return err },
		"a trust for another site":       func() error { _, err := OpenTrust(trust, key, "elsewhere"); return err },
		"a trust by another key":         func() error { _, err := OpenTrust(trust, other, "plant"); return err },
		"a join of another station":      func() error { _, err := OpenJoin(join, key, "a/b/c/d"); return err },
		"a join by another key":          func() error { _, err := OpenJoin(join, other, press); return err },
		"a join that is taken for trust": func() error { _, err := OpenTrust(join, key, "plant"); return err },
		"nothing":                        func() error { _, err := OpenJoin(nil, key, press); return err },
	} {
		if open() == nil {
			t.Errorf("%s is believed", says)
		}
	}
}

func TestStatementsThatSayNothingAreNotSigned(t *testing.T) {
	b, _ := newBroker(t)
	_, short := NewTime(b, press, []byte("short"), at())
	_, rootless := NewTrust(b, Trust{Version: 1, Site: "plant", At: at()})
	_, unnumbered := NewJoin(b, Join{Station: press, Chain: "0f9619ff-8b86-4d01-b42d-00cf4fc964ff", Serial: "ab", At: at()})
	for says, err := range map[string]error{"a short nonce": short, "no roots": rootless, "no sequence": unnumbered} {
		if err == nil {
			t.Errorf("%s was signed", says)
		}
	}
}

// FuzzOpen holds that nothing that the key did not sign is believed, and that nothing makes the reading panic.
func FuzzOpen(f *testing.F) {
	b, _ := newBroker(f)
	_, key := newBroker(f)
	f.Add(must[[]byte](f)(NewTime(b, press, make([]byte, MinNonce), at())))
	f.Add([]byte(`{"payload":"","payloadType":"","signatures":[]}`))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		_, err1 := OpenTime(sealed, key, press, make([]byte, MinNonce))
		_, err2 := OpenTrust(sealed, key, "plant")
		_, err3 := OpenJoin(sealed, key, press)
		if err1 == nil || err2 == nil || err3 == nil {
			t.Error("a statement was forged")
		}
	})
}
