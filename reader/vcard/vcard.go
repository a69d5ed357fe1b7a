// Package vcard is a virtual badge: it speaks the TCP protocol of the virtual smart card reader (vsmartcard's vpcd), so that the real
// PC/SC service sees a real card being laid on a reader.
//
// The demo, the benchmark and the integration tests tap with it. Nothing in a shipped agent or broker imports it. It never talks to PC/SC
// itself: it is the far end of the reader, the piece of plastic. Folder vpcd starts the service that it is presented to, cmd/tapcard
// is the same as a command.
package vcard

import (
	"tapline/reader/apdu"
)

// Card is a badge that can be laid on a virtual reader.
type Card struct {
	// UID is the number that the card gives to Get UID; empty for a card that has none.
	UID []byte
	// ATR is its Answer To Reset (ISO/IEC 7816-3, 8).
	ATR []byte
	// Mute cards are there but never give a valid ATR: a card laid upside down, or with a broken chip.
	Mute bool
}

// Classic1K is a MIFARE Classic 1K badge with the given UID (4 or 7 bytes): a number that is cheap to copy.
func Classic1K(uid []byte) Card {
	return Card{UID: uid, ATR: []byte{
		0x3B, 0x8F, 0x80, 0x01, 0x80, 0x4F, 0x0C, 0xA0, 0x00, 0x00, 0x03, 0x06, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x6A,
	}}
}

// DESFire is a MIFARE DESFire badge with the given UID (7 bytes; 4 bytes starting with 08 if it gives random ones).
func DESFire(uid []byte) Card {
	return Card{UID: uid, ATR: []byte{0x3B, 0x81, 0x80, 0x01, 0x80, 0x80}}
}

// Contact is a contact chip card in a slot: it powers up but has no number to give.
func Contact() Card {
	return Card{ATR: []byte{0x3B, 0x65, 0x00, 0x00, 0x20, 0x63, 0xCB, 0x68, 0x00}}
}

// Muted is a card that never answers to reset.
func Muted() Card {
	return Card{Mute: true}
}

// Answer is the response APDU that the card gives to a command APDU.
func (c Card) Answer(command []byte) []byte { return c.answer(command).Bytes() }

func (c Card) answer(command []byte) apdu.Response {
	cmd, err := apdu.ParseCommand(command)
	if err != nil {
		return apdu.Response{Status: apdu.WrongLength}
	}
	if cmd.CLA != 0xFF || cmd.INS != 0xCA || cmd.P1 != 0 || len(c.UID) == 0 {
		return apdu.Response{Status: apdu.UnknownCommand}
	}
	if cmd.Le != apdu.MaxLe && cmd.Le < len(c.UID) {
		return apdu.Response{Status: 0x6C00 | apdu.Status(len(c.UID))}
	}
	return apdu.Response{Data: c.UID, Status: apdu.OK}
}
