//go:build unix

package pcscdtest

import (
	"encoding/binary"

	"tapline/reader/vcard"
)

// Sizes of the table of readers.
const (
	maxReaders = 16
	entrySize  = 184
	nameSize   = 128
)

// The bits of a reader's state in the table.
const (
	absent   = 0x02
	present  = 0x04
	mute     = 0x08
	powered  = 0x10
	specific = 0x40
)

// slot is one reader. Guarded by the daemon's mutex.
type slot struct {
	name   string
	away   bool
	card   *vcard.Card
	events uint32 // cards that came or went
	held   bool   // another program holds the card
}

// table is the state of all readers as the client library wants it.
func (d *Daemon) table() []byte {
	t := make([]byte, maxReaders*entrySize)
	for i, s := range d.readers {
		if s != nil && !s.away {
			s.entry(t[i*entrySize:])
		}
	}
	return t
}

func (s *slot) entry(b []byte) {
	copy(b[:nameSize-1], s.name)
	put := func(at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
	put(128, s.events)
	switch {
	case s.card == nil:
		put(132, absent)
	case s.card.Mute:
		put(132, present|mute)
	default:
		put(132, present|powered|specific)
		copy(b[140:173], s.card.ATR)
		put(176, uint32(len(s.card.ATR)))
		put(180, protocolT1)
	}
}
