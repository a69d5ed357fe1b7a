// Package serial is the badge source for readers that send a line of text for each badge over a serial port: RS-232 and RS-485 converters, USB
// readers in CDC mode, most 125 kHz modules.
//
// One goroutine owns the port: it opens it, cuts what comes into frames, and opens it again for ever when it goes away. What a line holds is set by
// configuration (hexadecimal, decimal or text, and a pattern for what surrounds it), because nothing in the line tells. The agent runs it like any
// reader.Source; it is the only importer of the serial port library. It sends nothing to the reader, cannot see a badge leave, and never logs
// what came over the line: that is the badge number, and a bare one, which anybody who sees the badge can copy.
package serial

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"go.bug.st/serial"
	"go.uber.org/zap"

	"tapline/reader"
)

// Config is one serial reader. Only Port has to be set.
type Config struct {
	// Port is the device: /dev/ttyUSB0, better a name below /dev/serial/by-id, or COM3.
	Port string
	// Name is the reader's name in events; empty means Port.
	Name reader.Name
	// Baud, DataBits, Parity (none, odd, even, mark, space) and StopBits (1, 2) are the line's settings; their zero values mean 9600 8N1.
	Baud     int
	DataBits int
	Parity   string
	StopBits int
	// Terminator ends a frame: each of its bytes does. Empty means CR, LF and ETX.
	Terminator string
	// Format is what a frame holds: hex (the default), decimal or text.
	Format Format
	// Pattern finds the number in a frame: a regular expression whose first group is the number. Empty means the whole frame.
	Pattern string
	// MaxLength is the longest frame in bytes; a longer one is unreadable. 0 means 64.
	MaxLength int
	// IdleFrame ends a frame when the line has been quiet so long, for readers without a terminator. 0 means that only a terminator does, and that a
	// frame without one is unreadable after a second.
	IdleFrame time.Duration
	// Log gets what an administrator wants to know of the port; nil is silent.
	Log *zap.Logger
}

// Format is how a number is written in a frame.
type Format string

// The formats.
const (
	Hex     Format = "hex"     // pairs of hex digits; colons, dashes and spaces between them do not count
	Decimal Format = "decimal" // digits; leading zeros do not count
	Text    Format = "text"    // printable text as it is
)

const (
	defaultBaud       = 9600
	defaultMaxLength  = 64
	defaultTerminator = "\r\n\x03"
	staleFrame        = time.Second
)

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = reader.Name(c.Port)
	}
	if c.Baud == 0 {
		c.Baud = defaultBaud
	}
	if c.DataBits == 0 {
		c.DataBits = 8
	}
	if c.Format == "" {
		c.Format = Hex
	}
	if c.Terminator == "" {
		c.Terminator = defaultTerminator
	}
	if c.MaxLength == 0 {
		c.MaxLength = defaultMaxLength
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return c
}

// check returns every fault of the configuration, joined, or the parts that it was checked into.
func (c Config) check() (*serial.Mode, decoder, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Port == "" {
		fault("port is empty")
	}
	if c.Baud < 0 || c.MaxLength < 0 || c.IdleFrame < 0 {
		fault("baud, max length and idle frame cannot be negative")
	}
	if c.DataBits < 5 || c.DataBits > 8 {
		fault("data bits: %d is outside 5 to 8", c.DataBits)
	}
	parity, ok := parities()[c.Parity]
	if !ok {
		fault("parity: %q is none of none, odd, even, mark, space", c.Parity)
	}
	stop, ok := stopBits()[c.StopBits]
	if !ok {
		fault("stop bits: %d is neither 1 nor 2", c.StopBits)
	}
	d := decoder{format: c.Format}
	if !d.format.known() {
		fault("format: %q is none of hex, decimal, text", c.Format)
	}
	if c.Pattern != "" {
		var err error
		if d.pattern, err = regexp.Compile(c.Pattern); err != nil {
			fault("pattern: %w", err)
		} else if d.pattern.NumSubexp() < 1 {
			fault("pattern: %q has no group for the number", c.Pattern)
		}
	}
	return &serial.Mode{BaudRate: c.Baud, DataBits: c.DataBits, Parity: parity, StopBits: stop}, d, errors.Join(faults...)
}

func parities() map[string]serial.Parity {
	return map[string]serial.Parity{
		"": serial.NoParity, "none": serial.NoParity, "odd": serial.OddParity, "even": serial.EvenParity,
		"mark": serial.MarkParity, "space": serial.SpaceParity,
	}
}

func stopBits() map[int]serial.StopBits {
	return map[int]serial.StopBits{0: serial.OneStopBit, 1: serial.OneStopBit, 2: serial.TwoStopBits}
}
