package wire

import (
	"crypto/sha256"
	"encoding/binary"
)

// What the identity key signs. Each statement begins with its own name, so that a signature for one never serves for another, and each
// field is framed by its length, so that no byte can move from one field to the next.

// EnrolDigest is what a station signs to enrol.
func EnrolDigest(token, station string, csr, recordKey []byte, chain string) [sha256.Size]byte {
	return digest("tapline enrol v1", []byte(token), []byte(station), csr, recordKey, []byte(chain))
}

// RecoverDigest is what a station signs to get a certificate after its last one has expired.
func RecoverDigest(station string, nonce, csr []byte, join uint64) [sha256.Size]byte {
	return digest("tapline recover v1", []byte(station), nonce, csr, binary.BigEndian.AppendUint64(nil, join))
}

// SecretDigest is what a station signs to be handed a secret.
func SecretDigest(session string, key []byte) [sha256.Size]byte {
	return digest("tapline secret v1", []byte(session), key)
}

// digest frames and hashes.
func digest(name string, fields ...[]byte) [sha256.Size]byte {
	h := sha256.New()
	for _, f := range append([][]byte{[]byte(name)}, fields...) {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(f))))
		h.Write(f)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
