package vcard

import (
	"encoding/binary"
	"io"
	"net"
)

// The one-byte requests of the reader; anything longer is a command APDU. (vsmartcard, "The vpcd protocol".)
const (
	powerOff = 0
	powerOn  = 1
	reset    = 2
	giveATR  = 4
)

// tooLong is a length that no Answer To Reset has (ISO/IEC 7816-3, 8.1: at most 33 bytes).
const tooLong = 40

// reply is what the card sends back to a request, nil for requests that want no answer, and whether the request was a command.
func (c Card) reply(request []byte) (answer []byte, command bool) {
	if len(request) != 1 {
		return c.Answer(request), true
	}
	if request[0] != giveATR {
		return nil, false // power and reset are orders
	}
	if c.Mute {
		return make([]byte, tooLong), false // the reader knows that a card is there, and cannot power it
	}
	return c.ATR, false
}

// receive reads one frame: a big-endian uint16 length and that many bytes.
//
// The reader writes the length and the payload as two small segments. With delayed acknowledgements on our side and Nagle's
// algorithm on its, that costs 43 ms an APDU; asking for quick acknowledgements before every read (the setting does not last) brings
// it under half a millisecond.
func receive(conn *net.TCPConn) ([]byte, error) {
	var length [2]byte
	acknowledgeQuickly(conn)
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	payload := make([]byte, binary.BigEndian.Uint16(length[:]))
	acknowledgeQuickly(conn)
	if _, err := io.ReadFull(conn, payload); err != nil {
		return nil, err
	}
	return payload, nil
}

// send writes one frame in one segment.
func send(conn *net.TCPConn, payload []byte) error {
	frame := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(payload)), uint16(len(payload)))
	_, err := conn.Write(append(frame, payload...))
	return err
}
