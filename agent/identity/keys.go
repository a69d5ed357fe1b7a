package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"

	"tapline/agent/keystore"
	"tapline/proto/record"
)

// RecordKeyName is the name under which the keystore has the key of an epoch of records: its Ed25519 seed, 32 bytes. Enrol stores the
// first; the journal stores and deletes the others.
func RecordKeyName(e record.Epoch) string { return fmt.Sprintf("record-epoch-%d", e) }

// A secret that is to replace another is stored in the slot that the other does not have: the old one stays good until identity.json names
// the new, and a repetition after a crash writes over what it left, so that nothing piles up.
const (
	identitySlot  = "identity"
	tlsSlot       = "tls"
	badgeSlot     = "badge"
	pendingRecord = "record-pending"
)

func otherSlot(slot, used string) string {
	if used == slot+"-a" {
		return slot + "-b"
	}
	return slot + "-a"
}

// newIdentityKey makes and stores the long-lived key.
func newIdentityKey(ks keystore.Store, name string, p256 bool) (crypto.Signer, error) {
	if p256 {
		return newP256(ks, name)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return key, putKey(ks, name, key)
}

func newP256(ks keystore.Store, name string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return key, putKey(ks, name, key)
}

func putKey(ks keystore.Store, name string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return ks.Put(name, der)
}

func getKey(ks keystore.Store, name string) (crypto.Signer, error) {
	der, err := ks.Get(name)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil { // the error of the parser could show a part of it
		return nil, fmt.Errorf("secret %s is not a key", name)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("secret %s does not sign", name)
	}
	return signer, nil
}

// newRecordKey makes and stores the key of the first epoch.
func newRecordKey(ks keystore.Store, name string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	return ks.Put(name, key.Seed())
}

func getRecordKey(ks keystore.Store, name string) (ed25519.PrivateKey, error) {
	seed, err := ks.Get(name)
	if err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("secret %s is not an Ed25519 seed", name)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// newRequest makes and stores a TLS key, and a certificate request for it.
func newRequest(ks keystore.Store, name string, station record.StationID) ([]byte, error) {
	key, err := newP256(ks, name)
	if err != nil {
		return nil, err
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: string(station)},
	}, key)
}

// signDigest signs a SHA-256: ECDSA over the digest (ASN.1), Ed25519 over its bytes as the message.
func signDigest(key crypto.Signer, digest [32]byte) ([]byte, error) {
	switch key.Public().(type) {
	case ed25519.PublicKey:
		return key.Sign(rand.Reader, digest[:], crypto.Hash(0))
	case *ecdsa.PublicKey:
		return key.Sign(rand.Reader, digest[:], crypto.SHA256)
	}
	return nil, errors.New("an identity key of an unknown kind")
}

// samePublic reports whether two public keys are the same.
func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}
