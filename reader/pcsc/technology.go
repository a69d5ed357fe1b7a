package pcsc

import (
	"bytes"

	"tapline/reader"
)

// storageCard is what the historical bytes of a contactless memory card's ATR start with: category 80, tag 4F, length 0C and the identifier of
// the PC/SC workgroup (PC/SC part 3, 3.1.3.2.3.1). The byte after it names the standard.
func storageCard() []byte {
	return []byte{0x80, 0x4F, 0x0C, 0xA0, 0x00, 0x00, 0x03, 0x06}
}

// technology reads from an ATR how the card talks. An ATR of 3B 8n 80 01 is one that the reader made up for a contactless card; a real chip
// gives its own.
func technology(atr []byte) reader.Technology {
	if len(atr) < 4 || atr[0] != 0x3B || atr[1]&0xF0 != 0x80 || atr[2] != 0x80 || atr[3] != 0x01 {
		return reader.Contact
	}
	standard, ok := bytes.CutPrefix(atr[4:], storageCard())
	if !ok || len(standard) == 0 {
		return reader.ISO14443A // ISO 14443-4; its ATR does not tell type A from B
	}
	switch standard[0] {
	case 0x05, 0x06, 0x07, 0x08:
		return reader.ISO14443B
	case 0x09, 0x0A, 0x0B, 0x0C:
		return reader.ISO15693
	case 0x11:
		return reader.FeliCa
	}
	return reader.ISO14443A
}

// random reports whether a UID is one that a card makes up at each tap: four bytes of which the first is 08 (ISO/IEC 14443-3, 6.4.4).
func random(uid []byte, tech reader.Technology) bool {
	return tech == reader.ISO14443A && len(uid) == 4 && uid[0] == 0x08
}
