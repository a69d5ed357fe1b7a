// Package apdu builds and parses the short command and response APDUs of ISO/IEC 7816-4, the words that a PC/SC program and
// a card say to each other.
//
// It is pure: bytes in, values out. The PC/SC source builds its one command with it, the virtual badge parses commands
// and answers with it. It knows no card application and no reader, sends nothing, and never prints the data of a command or a
// response: on a badge that data is the badge number.
package apdu

import (
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error of this package.
var ErrMalformed = errors.New("malformed APDU")

// The largest sizes that a short APDU can carry, in bytes.
const (
	MaxData = 255 // of a command
	MaxLe   = 256 // that a command may ask for
)

// Command is a short command APDU (ISO/IEC 7816-4, 5.1).
type Command struct {
	CLA, INS, P1, P2 byte
	// Data is at most MaxData bytes; empty means none.
	Data []byte
	// Le is how many bytes of answer are asked for at most, 1 to MaxLe; 0 means that none are expected.
	Le int
}

// GetUID asks a PC/SC reader for the number of a contactless card (PC/SC part 3, 3.2.2.1.3): FF CA 00 00 00.
func GetUID() Command {
	return Command{CLA: 0xFF, INS: 0xCA, Le: MaxLe}
}

// Bytes encodes the command.
func (c Command) Bytes() ([]byte, error) {
	if len(c.Data) > MaxData {
		return nil, fmt.Errorf("%w: %d bytes of data, at most %d fit", ErrMalformed, len(c.Data), MaxData)
	}
	if c.Le < 0 || c.Le > MaxLe {
		return nil, fmt.Errorf("%w: Le %d is outside 0 to %d", ErrMalformed, c.Le, MaxLe)
	}
	b := []byte{c.CLA, c.INS, c.P1, c.P2}
	if len(c.Data) > 0 {
		b = append(b, byte(len(c.Data)))
		b = append(b, c.Data...)
	}
	if c.Le > 0 {
		b = append(b, byte(c.Le)) // 256 is written as 00
	}
	return b, nil
}

// ParseCommand decodes a short command APDU; what it accepts encodes to the same bytes again. Extended APDUs are refused.
func ParseCommand(b []byte) (Command, error) {
	if len(b) < 4 {
		return Command{}, fmt.Errorf("%w: a command of %d bytes has no whole header", ErrMalformed, len(b))
	}
	c := Command{CLA: b[0], INS: b[1], P1: b[2], P2: b[3]}
	body := b[4:]
	if len(body) > 1 {
		lc := int(body[0])
		if lc == 0 {
			return Command{}, fmt.Errorf("%w: extended length", ErrMalformed)
		}
		if len(body) < 1+lc || len(body) > 2+lc {
			return Command{}, fmt.Errorf("%w: Lc says %d, %d bytes follow", ErrMalformed, lc, len(body)-1)
		}
		c.Data = body[1 : 1+lc : 1+lc]
		body = body[1+lc:]
	}
	if len(body) == 1 {
		c.Le = le(body[0])
	}
	return c, nil
}

func le(b byte) int {
	if b == 0 {
		return MaxLe
	}
	return int(b)
}

// Response is a response APDU (ISO/IEC 7816-4, 5.1): data and the status word.
type Response struct {
	Data   []byte
	Status Status
}

// ParseResponse decodes a response APDU; what it accepts encodes to the same bytes again.
func ParseResponse(b []byte) (Response, error) {
	n := len(b) - 2
	if n < 0 {
		return Response{}, fmt.Errorf("%w: a response of %d bytes has no status", ErrMalformed, len(b))
	}
	r := Response{Status: Status(b[n])<<8 | Status(b[n+1])}
	if n > 0 {
		r.Data = b[:n:n]
	}
	return r, nil
}

// Bytes encodes the response.
func (r Response) Bytes() []byte {
	return append(append([]byte{}, r.Data...), byte(r.Status>>8), byte(r.Status))
}
