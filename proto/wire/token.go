package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Token is what an administrator carries to a station: everything it needs to find its broker, know it, and enrol once.
type Token struct {
	Secret  string    `json:"t"`
	Station string    `json:"s"`
	Brokers []string  `json:"b"`
	Root    Pin       `json:"p"`
	Expires time.Time `json:"e"`
}

const (
	tokenPrefix = "tl1."
	maxToken    = 4096
)

// ErrToken says that a text is not a token.
var ErrToken = errors.New("not an enrolment token")

// Encode is the token as one word, secret included.
func (t Token) Encode() string { return encodeWord(tokenPrefix, t) }

// encodeWord makes one word of what always encodes: strings, a pin and a time.
func encodeWord(prefix string, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return prefix + base64.RawURLEncoding.EncodeToString(b)
}

// String tells the token without its secret.
func (t Token) String() string {
	return fmt.Sprintf("token for %s until %s", t.Station, t.Expires.UTC().Format(time.RFC3339))
}

// Format hides the secret from every verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// ParseToken reads what Encode wrote. Its errors never show the text.
func ParseToken(text string) (Token, error) {
	text = strings.TrimSpace(text)
	rest, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok {
		return Token{}, fmt.Errorf("%w: it must begin with %q", ErrToken, tokenPrefix)
	}
	if len(text) > maxToken {
		return Token{}, fmt.Errorf("%w: longer than %d characters", ErrToken, maxToken)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil {
		return Token{}, fmt.Errorf("%w: damaged or cut off", ErrToken)
	}
	var t Token
	if err := decodeWord(b, &t); err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if t.Secret == "" || t.Station == "" || len(t.Brokers) == 0 || t.Root == (Pin{}) {
		return Token{}, fmt.Errorf("%w: secret, station, broker or root pin is missing", ErrToken)
	}
	return t, nil
}

// decodeWord reads the JSON of a word and nothing behind it.
func decodeWord(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errors.New("damaged or cut off")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows it")
	}
	return nil
}
