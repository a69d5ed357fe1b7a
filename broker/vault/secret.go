package vault

import (
	"fmt"
	"io"
)

// Secret is bytes that no format verb and no encoder shows.
type Secret []byte

// hidden is how a secret looks.
const hidden = "(secret)"

// String hides the secret.
func (Secret) String() string { return hidden }

// GoString hides the secret.
func (Secret) GoString() string { return hidden }

// Format hides the secret from every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalJSON hides the secret.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Wipe overwrites the secret. It is best effort: the runtime and the libraries below may have copied it.
func (s Secret) Wipe() { clear(s) }
