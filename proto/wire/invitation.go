package wire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Invitation is what an administrator carries to an officer: everything it needs to find the broker, know it, and log in once.
type Invitation struct {
	Secret  string    `json:"t"`
	Name    string    `json:"n"`
	Brokers []string  `json:"b"`
	Root    Pin       `json:"p"`
	Expires time.Time `json:"e"`
}

const invitationPrefix = "ti1."

// ErrInvitation says that a text is not an invitation.
var ErrInvitation = errors.New("not an invitation")

// Encode is the invitation as one word, secret included.
func (i Invitation) Encode() string { return encodeWord(invitationPrefix, i) }

// String tells the invitation without its secret.
func (i Invitation) String() string {
	return fmt.Sprintf("invitation for %s until %s", i.Name, i.Expires.UTC().Format(time.RFC3339))
}

// Format hides the secret from every verb.
func (i Invitation) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, i.String()) }

// ParseInvitation reads what Encode wrote. Its errors never show the text.
func ParseInvitation(text string) (Invitation, error) {
	text = strings.TrimSpace(text)
	rest, ok := strings.CutPrefix(text, invitationPrefix)
	switch {
	case strings.HasPrefix(text, tokenPrefix):
		return Invitation{}, fmt.Errorf("%w: it is a station's token", ErrInvitation)
	case !ok:
		return Invitation{}, fmt.Errorf("%w: it must begin with %q", ErrInvitation, invitationPrefix)
	case len(text) > maxToken:
		return Invitation{}, fmt.Errorf("%w: longer than %d characters", ErrInvitation, maxToken)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil {
		return Invitation{}, fmt.Errorf("%w: damaged or cut off", ErrInvitation)
	}
	var i Invitation
	if err := decodeWord(b, &i); err != nil {
		return Invitation{}, fmt.Errorf("%w: %w", ErrInvitation, err)
	}
	if i.Secret == "" || i.Name == "" || len(i.Brokers) == 0 || i.Root == (Pin{}) {
		return Invitation{}, fmt.Errorf("%w: secret, name, broker or root pin is missing", ErrInvitation)
	}
	return i, nil
}
