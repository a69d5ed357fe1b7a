package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"strings"
	"testing"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func TestCertificateRequestsThatAreRefused(t *testing.T) {
	ec := func(c elliptic.Curve) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, crand.Reader)
		must(t, err)
		return k
	}
	weak, err := rsa.GenerateKey(crand.Reader, 1024) //nolint:gosec // that is the point
	must(t, err)
	strong, err := rsa.GenerateKey(crand.Reader, 2048)
	must(t, err)
	named := func(cn string) *x509.CertificateRequest {
		return &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn}}
	}
	for _, row := range []struct {
		says string
		key  crypto.Signer
		csr  *x509.CertificateRequest
		want string // empty for one that is taken
	}{
		{"our agent's", ec(elliptic.P256()), named(string(station)), ""},
		{"one without a name", newEd25519(t), &x509.CertificateRequest{}, ""},
		{"a weak RSA key", weak, named(string(station)), "key of type"},
		{"a strong RSA key", strong, named(string(station)), "key of type"},
		{"a curve that not every part knows", ec(elliptic.P384()), named(string(station)), "key of type"},
		{"a weak curve", ec(elliptic.P224()), named(string(station)), "key of type"},
		{"another station's name", ec(elliptic.P256()), named("plant/packing/line-2/hmi-1"), "its subject"},
		{"an administrator's name", ec(elliptic.P256()), named("admin"), "its subject"},
		{"a name of its own", ec(elliptic.P256()), &x509.CertificateRequest{DNSNames: []string{"broker"}}, "names of its own"},
	} {
		der, err := x509.CreateCertificateRequest(crand.Reader, row.csr, row.key)
		must(t, err)
		_, err = readCSR(der, string(station))
		if row.want == "" {
			must(t, err)
			der[len(der)-1] ^= 1
			if _, err := readCSR(der, string(station)); wire.KindOf(err) != wire.Invalid {
				t.Errorf("%s, signed wrongly: %v", row.says, err)
			}
			continue
		}
		wantRefused(t, row.says, err, wire.Invalid, row.want)
	}
}

// namesField holds that an error of an input says which field it is about.
func namesField(t *testing.T, err error, fields ...string) {
	t.Helper()
	if !slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(err.Error(), f+": ") }) {
		t.Errorf("%v names none of %q", err, fields)
	}
}

// fuzzed is an office with an enrolled station.
func fuzzed(f *testing.F) (*office, *machine) {
	f.Helper()
	var o *office
	var m *machine
	o = newOffice(f)
	m = o.enrol(f)
	return o, m
}

// FuzzRecover holds that no request panics, that nothing that the identity key did not sign passes, and that the error names the field.
func FuzzRecover(f *testing.F) {
	o, _ := fuzzed(f)
	nonce, err := o.Challenge(station)
	must(f, err)
	f.Add(string(station), nonce, newCSR(f), uint64(1), []byte("proof"), []byte("join"))
	f.Add("hmi", []byte{}, []byte("csr"), uint64(0), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, id string, nonce, csr []byte, sequence uint64, proof, join []byte) {
		_, err := o.Recover(t.Context(), &taplinev1.RecoverRequest{Station: id, Nonce: nonce, Csr: csr, JoinSequence: sequence, Proof: proof, Join: join})
		if err == nil {
			t.Fatal("a proof was guessed")
		}
		if k := wire.KindOf(err); k != wire.Invalid && k != wire.Unauthenticated {
			t.Errorf("got %v (%s)", err, k)
		}
		namesField(t, err, "station", "nonce", "csr", "proof", "join")
	})
}

// FuzzRenew holds that no request panics, and that what is wrong with it is said.
func FuzzRenew(f *testing.F) {
	o, m := fuzzed(f)
	f.Add([]byte("csr"), uint64(1))
	f.Add([]byte{}, uint64(0))
	f.Fuzz(func(t *testing.T, csr []byte, sequence uint64) {
		_, err := o.Renew(t.Context(), station, m.cert, &taplinev1.RenewRequest{Csr: csr, JoinSequence: sequence})
		if err == nil {
			return // a whole request, which the fuzzer would have to sign
		}
		if wire.KindOf(err) == wire.Invalid {
			namesField(t, err, "csr")
		}
	})
}

// FuzzChallenge holds that whatever is asked, an answer is for a station, and that the nonce is good for no other.
func FuzzChallenge(f *testing.F) {
	o, _ := fuzzed(f)
	f.Add(string(station), make([]byte, 32))
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, id string, nonce []byte) {
		got, err := o.Answer(&taplinev1.GetChallengeRequest{Station: id, Nonce: nonce})
		if err != nil {
			namesField(t, err, "station", "nonce")
			return
		}
		if _, good := o.nonceEnd(got.GetNonce(), station); good != (id == string(station)) {
			t.Errorf("a nonce for %q is good for %s: %t", id, station, good)
		}
	})
}
