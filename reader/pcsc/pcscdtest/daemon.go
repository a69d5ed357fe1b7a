//go:build unix

// Package pcscdtest is a PC/SC service made for tests: it serves the protocol between libpcsclite and pcscd on a socket of its own, so that
// the real client library runs against readers and cards that a test moves by hand, without root and without hardware.
//
// The client library takes the socket's path from PCSCLITE_CSOCK_NAME at its first call and keeps it: a process has one Daemon, which it
// may kill and start again. The protocol is the one recorded between libpcsclite and pcscd 1.9.9 (version 4:4). Only tests import this package.
package pcscdtest

import (
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"tapline/reader/vcard"
)

// Daemon is the service with its readers. The readers are hardware: they keep their place and their cards while the service is dead. Its
// methods are for any goroutine.
type Daemon struct {
	path    string
	serving sync.WaitGroup // the accept loop and the connections

	mu       sync.Mutex // guards the rest
	listener net.Listener
	clients  map[*client]bool
	readers  [maxReaders]*slot
	contexts map[uint32]*client // by context number
	next     uint32             // the next context or card number
	refused  chan struct{}      // has one element when a client has met a held card
}

// New makes a service on the socket path, not yet running and without readers.
func New(path string) *Daemon {
	return &Daemon{path: path, clients: map[*client]bool{}, contexts: map[uint32]*client{}, refused: make(chan struct{}, 1)}
}

// Start starts serving.
func (d *Daemon) Start() error {
	l, err := net.Listen("unix", d.path)
	if err != nil {
		return fmt.Errorf("start fake pcscd: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listener = l
	d.serving.Go(func() { d.accept(l) })
	return nil
}

// Kill ends the service as a crash would: all connections break, nothing is said. Readers and cards stay as they are.
func (d *Daemon) Kill() {
	d.mu.Lock()
	if d.listener != nil {
		_ = d.listener.Close()
		d.listener = nil
	}
	for c := range d.clients {
		_ = c.conn.Close()
	}
	d.mu.Unlock()
	d.serving.Wait()
	_ = os.Remove(d.path)
	for _, s := range d.readers {
		if s != nil {
			s.events = 0 // a new service counts anew
		}
	}
}

func (d *Daemon) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		c := &client{daemon: d, conn: conn}
		d.mu.Lock()
		d.clients[c] = true
		d.mu.Unlock()
		d.serving.Go(func() {
			c.serve()
			d.forget(c)
		})
	}
}

func (d *Daemon) forget(c *client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = c.conn.Close()
	delete(d.clients, c)
	for number, owner := range d.contexts {
		if owner == c {
			delete(d.contexts, number)
		}
	}
}

// Plug adds a reader, or plugs it in again with the card that lies on it.
func (d *Daemon) Plug(name string) {
	d.change(func() {
		for _, s := range d.readers {
			if s != nil && s.name == name {
				s.away, s.events = false, 0
				return
			}
		}
		for i, s := range d.readers {
			if s == nil {
				d.readers[i] = &slot{name: name}
				return
			}
		}
		panic("pcscdtest: a service has at most 16 readers")
	})
}

// Unplug takes a reader away, with the card that lies on it.
func (d *Daemon) Unplug(name string) {
	d.change(func() { d.slot(name).away = true })
}

// Insert lays a card on a reader.
func (d *Daemon) Insert(name string, card vcard.Card) {
	d.change(func() {
		s := d.slot(name)
		s.card = &card
		s.events++
	})
}

// Remove takes the card away from a reader.
func (d *Daemon) Remove(name string) {
	d.change(func() {
		s := d.slot(name)
		if s.card != nil {
			s.card = nil
			s.events++
		}
	})
}

// Blink lays a card on a reader and takes it away before anybody can look.
func (d *Daemon) Blink(name string) {
	d.change(func() { d.slot(name).events += 2 })
}

// Hold makes another program hold the card in a reader for itself, or let go of it.
func (d *Daemon) Hold(name string, held bool) {
	d.change(func() { d.slot(name).held = held })
}

// Noticed returns when the program that watches has dealt with all that happened and waits for more; at once if nobody is connected.
func (d *Daemon) Noticed() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range mostLooks {
		if d.idle() {
			return
		}
		<-tick.C
	}
}

// mostLooks bounds Noticed for a watcher that never comes to rest.
const mostLooks = 5000

func (d *Daemon) idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.clients {
		if c.waiting {
			return true
		}
	}
	return len(d.clients) == 0
}

// Refused returns once a program has been told that another one holds the card (see Hold).
func (d *Daemon) Refused() { <-d.refused }

// change does something to the readers and tells those who wait for it.
func (d *Daemon) change(do func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	do()
	for c := range d.clients {
		c.signal(success)
	}
}

func (d *Daemon) slot(name string) *slot {
	for _, s := range d.readers {
		if s != nil && s.name == name {
			return s
		}
	}
	panic("pcscdtest: no reader is called " + name)
}
