//go:build unix

package pcscdtest

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
)

// The commands of the protocol that a badge source uses.
const (
	cmdEstablish  = 0x01
	cmdRelease    = 0x02
	cmdConnect    = 0x04
	cmdDisconnect = 0x06
	cmdTransmit   = 0x09
	cmdCancel     = 0x0D
	cmdVersion    = 0x11
	cmdReaders    = 0x12
	cmdWait       = 0x13
	cmdStopWait   = 0x14
)

// Return values.
const (
	success       = 0
	cancelled     = 0x80100002
	invalidHandle = 0x80100003
	unknownReader = 0x80100009
	sharing       = 0x8010000B
	noCard        = 0x8010000C
	notSupported  = 0x80100022
	unresponsive  = 0x80100066
	removedCard   = 0x80100069

	protocolT1 = 2
)

// client is one connection of the client library: one context, or one cancel.
type client struct {
	daemon *Daemon
	conn   net.Conn

	// Guarded by the daemon's mutex, which also keeps replies and signals apart on the connection.
	waiting bool
	cards   map[uint32]connected
}

// connected is a card that the client is connected to.
type connected struct {
	slot   *slot
	events uint32 // of the slot when it was connected: another count means another card
}

// request is a message of the client: the numbers of its body are read and filled in by place.
type request struct {
	cmd  uint32
	body []byte
}

func (r request) get(at int) uint32    { return binary.LittleEndian.Uint32(r.body[at:]) }
func (r request) put(at int, v uint32) { binary.LittleEndian.PutUint32(r.body[at:], v) }

func (c *client) serve() {
	for {
		var head [8]byte
		if _, err := io.ReadFull(c.conn, head[:]); err != nil {
			return
		}
		size := binary.LittleEndian.Uint32(head[:])
		if size > 4096 {
			return
		}
		r := request{cmd: binary.LittleEndian.Uint32(head[4:]), body: make([]byte, size)}
		if _, err := io.ReadFull(c.conn, r.body); err != nil {
			return
		}
		var command []byte
		if r.cmd == cmdTransmit {
			command = make([]byte, min(r.get(12), 4096))
			if _, err := io.ReadFull(c.conn, command); err != nil {
				return
			}
		}
		if !c.answer(r, command) {
			return
		}
	}
}

// answer handles one request; false ends the connection.
func (c *client) answer(r request, command []byte) bool {
	c.daemon.mu.Lock()
	defer c.daemon.mu.Unlock()
	reply := r.body
	switch r.cmd {
	case cmdVersion:
		r.put(8, success)
	case cmdEstablish:
		r.put(4, c.daemon.number())
		c.daemon.contexts[r.get(4)] = c
	case cmdRelease:
		delete(c.daemon.contexts, r.get(0))
		r.put(4, success)
	case cmdReaders:
		reply = c.daemon.table()
	case cmdWait:
		c.waiting = true
		reply = c.daemon.table()
	case cmdStopWait:
		if !c.waiting {
			return true // the signal that ended the wait is the answer
		}
		c.waiting = false
		reply = make([]byte, 8)
	case cmdCancel:
		if waiter := c.daemon.contexts[r.get(0)]; waiter != nil {
			waiter.signal(cancelled)
		}
		r.put(4, success)
	case cmdConnect:
		c.connect(r)
	case cmdDisconnect:
		delete(c.cards, r.get(0))
		r.put(8, success)
	case cmdTransmit:
		reply = append(reply, c.transmit(r, command)...)
	default:
		r.put(len(r.body)-4, notSupported)
	}
	_, err := c.conn.Write(reply)
	return err == nil
}

// signal ends the client's wait, if it waits. The caller holds the daemon's mutex.
func (c *client) signal(code uint32) {
	if !c.waiting {
		return
	}
	c.waiting = false
	_, _ = c.conn.Write(binary.LittleEndian.AppendUint32(make([]byte, 4), code))
}

func (c *client) connect(r request) {
	name, _, _ := bytes.Cut(r.body[4:4+nameSize], []byte{0})
	for _, s := range c.daemon.readers {
		if s == nil || s.away || s.name != string(name) {
			continue
		}
		switch {
		case s.card == nil:
			r.put(148, noCard)
		case s.card.Mute:
			r.put(148, unresponsive)
		case s.held:
			r.put(148, sharing)
			select {
			case c.daemon.refused <- struct{}{}:
			default:
			}
		default:
			if c.cards == nil {
				c.cards = map[uint32]connected{}
			}
			r.put(140, c.daemon.number())
			c.cards[r.get(140)] = connected{s, s.events}
			r.put(144, protocolT1)
			r.put(148, success)
		}
		return
	}
	r.put(148, unknownReader)
}

func (c *client) transmit(r request, command []byte) []byte {
	card, ok := c.cards[r.get(0)]
	switch {
	case !ok:
		r.put(28, invalidHandle)
	case card.slot.away, card.slot.card == nil, card.slot.events != card.events:
		r.put(28, removedCard)
	default:
		answer := card.slot.card.Answer(command)
		r.put(24, uint32(len(answer)))
		r.put(28, success)
		return answer
	}
	r.put(24, 0)
	return nil
}

func (d *Daemon) number() uint32 {
	d.next++
	return d.next
}
