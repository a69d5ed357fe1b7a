package token

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func key(seed string) ed25519.PrivateKey {
	sum := sha256.Sum256([]byte(seed))
	return ed25519.NewKeyFromSeed(sum[:])
}

func says() Says {
	now := time.Unix(1_795_000_000, 0).UTC()
	return Says{
		ID: "j1", Station: "plant/packing/line-3/press-4", Person: "p-1", Audience: "mes", Session: "s1", Issued: now, Expires: now.Add(Life),
		Methods: []string{"hwk", "pin", "mfa"}, Mode: "gate", Assurance: 3,
	}
}

func made(t *testing.T) (text string, keys []byte) {
	t.Helper()
	text, err := Sign(key("station"), says())
	if err != nil {
		t.Fatal(err)
	}
	keys, err = KeySet(key("station").Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return text, keys
}

func TestWhatWasSignedIsRead(t *testing.T) {
	text, keys := made(t)
	got, err := Check(keys, text, "mes", "plant/packing/line-3/press-4", says().Issued.Add(30*time.Second))
	if d := cmp.Diff(says(), got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
}

func TestWhatIsNotGoodIsRefused(t *testing.T) {
	text, keys := made(t)
	others, err := KeySet(key("another").Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(text, ".")
	forged := strings.Replace(text, parts[1], base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"plant/packing/line-3/press-4","sub":"p-2","aud":"mes","exp":1795000060,"iat":1795000000,"jti":"j1"}`)), 1)
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	hmac := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + parts[1] + "." + parts[2]
	long := says()
	long.Expires = long.Issued.Add(time.Hour)
	lasting, err := Sign(key("station"), long)
	if err != nil {
		t.Fatal(err)
	}
	now := says().Issued
	for _, row := range []struct {
		name, text, audience, station string
		keys                          []byte
		at                            time.Time
		want                          error
	}{
		{"another audience", text, "erp", "", keys, now, ErrClaims},
		{"no audience", text, "", "", keys, now, ErrClaims},
		{"another station", text, "mes", "plant/packing/line-3/press-5", keys, now, ErrClaims},
		{"too late", text, "mes", "", keys, now.Add(Life + Leeway + time.Second), ErrClaims},
		{"too early", text, "mes", "", keys, now.Add(-Leeway - time.Second), ErrClaims},
		{"good for too long", lasting, "mes", "", keys, now, ErrClaims},
		{"another key", text, "mes", "", others, now, ErrToken},
		{"no keys", text, "mes", "", []byte(`{}`), now, ErrToken},
		{"changed", forged, "mes", "", keys, now, ErrToken},
		{"unsigned", none, "mes", "", keys, now, ErrToken},
		{"signed in another way", hmac, "mes", "", keys, now, ErrToken},
		{"nothing", "", "mes", "", keys, now, ErrToken},
	} {
		if _, err := Check(row.keys, row.text, row.audience, row.station, row.at); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
}

func TestMethodsClaimNoProofThatWasNotGiven(t *testing.T) {
	for _, row := range []struct {
		assurance int
		factors   []string
		want      string
	}{{0, []string{"badge"}, ""}, {1, []string{"badge", "pin"}, "pin mfa"}, {3, []string{"badge"}, "hwk"}, {4, []string{"badge", "pin"}, "hwk sc pin mfa"}} {
		if got := strings.Join(Methods(row.assurance, row.factors), " "); got != row.want {
			t.Errorf("assurance %d with %v: %q, want %q", row.assurance, row.factors, got, row.want)
		}
	}
}

// TestOpensslChecksATokenWithTheKeySet knows none of our code: the key comes from the key set, the signature is checked by openssl.
func TestOpensslChecksATokenWithTheKeySet(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs: openssl")
	}
	text, keys := made(t)
	var set struct {
		Keys []struct{ Kty, Crv, X, Kid, Alg string }
	}
	if err := json.Unmarshal(keys, &set); err != nil || len(set.Keys) != 1 || set.Keys[0].Kty != "OKP" || set.Keys[0].Crv != "Ed25519" {
		t.Fatalf("key set %s: %v", keys, err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(set.Keys[0].X)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(text, ".")
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	spki := append([]byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}, raw...) // RFC 8410
	verify := func(signed string) error {
		for name, b := range map[string][]byte{"key.der": spki, "text": []byte(signed), "sig": signature} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), "openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-rawin", "-in", "text", "-sigfile", "sig")
		cmd.Dir = dir
		return cmd.Run()
	}
	if err := verify(parts[0] + "." + parts[1]); err != nil {
		t.Errorf("openssl: %v", err)
	}
	if err := verify(parts[0] + "." + parts[1] + "A"); err == nil {
		t.Error("openssl takes a changed token")
	}
}

func FuzzCheckNeverTakesWhatWasNotSigned(f *testing.F) {
	text, err := Sign(key("station"), says())
	if err != nil {
		f.Fatal(err)
	}
	keys, err := KeySet(key("station").Public().(ed25519.PublicKey))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, other string) {
		got, err := Check(keys, other, "mes", "", says().Issued)
		if err == nil && !cmp.Equal(got, says()) {
			t.Errorf("%q says %+v", other, got)
		}
	})
}
