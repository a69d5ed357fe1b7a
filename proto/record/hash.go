package record

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Hash is a SHA-256. In JSON it is 64 lower-case hex digits, and nothing else is read.
type Hash [sha256.Size]byte

// HashOf is the SHA-256 of b.
func HashOf(b []byte) Hash { return sha256.Sum256(b) }

// ParseHash reads 64 lower-case hex digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	return h, h.UnmarshalText([]byte(s))
}

// String is the hash in lower-case hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is the hash that stands before the first record of a chain.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText writes 64 lower-case hex digits.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads what MarshalText writes, and refuses upper case and any other length.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) != 2*len(h) || !isLowerHex(b) {
		return fmt.Errorf("a hash is %d lower-case hex digits", 2*len(h))
	}
	_, err := hex.Decode(h[:], b)
	return err
}

func isLowerHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
