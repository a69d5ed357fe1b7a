package wire_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"testing"
	"time"

	"tapline/proto/wire"
)

func TestASealedSecretOpensForItsPurposeAlone(t *testing.T) {
	expires := time.Date(2026, 11, 25, 12, 0, 0, 999, time.UTC)
	info := func(station, session, account string, at time.Time) []byte {
		return wire.SecretInfo(station, session, account, at)
	}
	right := info("plant/press/line-4/hmi-1", "s-1", "operator", expires)
	key, err := wire.NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := wire.NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	enc, sealed, err := wire.SealSecret(key.Public(), right, []byte("canary"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("canary")) {
		t.Error("it is there in clear")
	}
	if got, err := key.Open(enc, info("plant/press/line-4/hmi-1", "s-1", "operator", expires.Truncate(time.Second)), sealed); err != nil || string(got) != "canary" {
		t.Errorf("%q, %v", got, err)
	}
	for what, wrong := range map[string][]byte{
		"another station": info("plant/press/line-4/hmi-2", "s-1", "operator", expires),
		"another session": info("plant/press/line-4/hmi-1", "s-2", "operator", expires),
		"another account": info("plant/press/line-4/hmi-1", "s-1", "admin", expires),
		"a longer life":   info("plant/press/line-4/hmi-1", "s-1", "operator", expires.Add(time.Second)),
		"moved borders":   info("plant/press/line-4/hmi-1", "s-1\x00operator", "", expires),
		"nothing":         nil,
	} {
		if got, err := key.Open(enc, wrong, sealed); err == nil || got != nil {
			t.Errorf("%s: it opened", what)
		}
	}
	if _, err := other.Open(enc, right, sealed); err == nil {
		t.Error("another key opened it")
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := key.Open(enc, right, changed); err == nil {
			t.Errorf("it opened with byte %d changed", i)
		}
	}
}

func TestAPlainX25519KeyIsTakenToo(t *testing.T) {
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if enc, sealed, err := wire.SealSecret(k.PublicKey().Bytes(), nil, []byte("x")); err != nil || len(enc) != 32 || len(sealed) != 17 {
		t.Errorf("%d, %d, %v", len(enc), len(sealed), err)
	}
}

// Whatever is given as a key: it is refused, or what is sealed does not hold the secret.
func FuzzSealSecret(f *testing.F) {
	f.Add([]byte(nil), []byte(nil))
	f.Add(make([]byte, 32), []byte("info"))
	f.Add(make([]byte, 1216), []byte("info"))
	f.Fuzz(func(t *testing.T, key, info []byte) {
		secret := []byte("a canary of 32 bytes, never clear")
		enc, sealed, err := wire.SealSecret(key, info, secret)
		if err == nil && (len(enc) == 0 || len(sealed) != len(secret)+16 || bytes.Contains(sealed, secret)) {
			t.Errorf("sealed to %x as %x", key, sealed)
		}
	})
}
