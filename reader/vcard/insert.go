package vcard

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// Inserted is a card that lies on a reader. Remove takes it away.
type Inserted struct {
	card Card
	conn *net.TCPConn
	asks sync.WaitGroup // the one goroutine that answers the reader
	read chan struct{}  // closed after the first command was answered
	done chan struct{}  // closed when the reader let go of the card
}

// Insert lays card on the virtual reader at addr (host:port) and returns once the reader has the connection; ctx bounds only that. The card
// answers by itself until Remove, or until the reader goes away. The reader notices a new card at its next poll, within 400 ms.
func Insert(ctx context.Context, addr string, card Card) (*Inserted, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("insert card at %s: %w", addr, err)
	}
	in := &Inserted{card: card, conn: conn.(*net.TCPConn), read: make(chan struct{}), done: make(chan struct{})}
	in.asks.Go(in.serve)
	return in, nil
}

// Read is closed once the card has answered a command: somebody asked for its number.
func (in *Inserted) Read() <-chan struct{} { return in.read }

// Gone is closed once the reader has let go of the card: it was removed, or the PC/SC service died.
func (in *Inserted) Gone() <-chan struct{} { return in.done }

// Remove takes the card away and waits until it has stopped answering. A card whose reader went away first is removed too.
func (in *Inserted) Remove() error {
	err := in.conn.Close()
	in.asks.Wait()
	if err != nil {
		return fmt.Errorf("remove card: %w", err)
	}
	return nil
}

func (in *Inserted) serve() {
	defer close(in.done)
	first := in.read
	for {
		request, err := receive(in.conn)
		if err != nil {
			return
		}
		reply, command := in.card.reply(request)
		if reply == nil {
			continue
		}
		if send(in.conn, reply) != nil {
			return
		}
		if command && first != nil {
			close(first)
			first = nil
		}
	}
}
