package ldap_test

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"tapline/broker/ldap"
)

// speaker is a server that says to its first caller what a test tells it to, whatever is asked.
func speaker(t *testing.T, says func(net.Conn)) ldap.Config {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var talking sync.WaitGroup
	talking.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		says(conn)
	})
	t.Cleanup(func() { _ = l.Close(); talking.Wait() })
	return ldap.Config{Servers: []string{"ldap://" + l.Addr().String()}, Plain: true, Timeout: 10 * time.Second, ConnectTimeout: 10 * time.Second}
}

// hear takes one request.
func hear(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }

// entry and done are a search's answers with the message's number: an entry without attributes, and success.
func entry(id byte) []byte {
	return []byte{0x30, 0x09, 0x02, 0x01, id, 0x64, 0x04, 0x04, 0x00, 0x30, 0x00}
}

func done(id byte) []byte {
	return []byte{0x30, 0x0c, 0x02, 0x01, id, 0x65, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00}
}

func TestAMessageWithoutEndIsNotTaken(t *testing.T) {
	c := speaker(t, func(conn net.Conn) {
		hear(conn)
		_, err := conn.Write([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0x00, 0x04, 0x84, 0x7f, 0xff, 0xf0, 0x00})
		for some := make([]byte, 1<<20); err == nil; {
			_, err = conn.Write(some)
		}
	})
	if _, err := client(t, c).Open(t.Context()); !errors.Is(err, ldap.ErrTooMuch) {
		t.Errorf("got %v, want %v", err, ldap.ErrTooMuch)
	}
}

// TestHalfAListIsNoList: whoever is missing from one would be taken for somebody who has left.
func TestHalfAListIsNoList(t *testing.T) {
	for says, end := range map[string]func(net.Conn){
		"the line ends":               func(net.Conn) {},
		"bytes that are no message":   func(c net.Conn) { _, _ = c.Write([]byte{0xff, 0x00, 0xff}) },
		"an entry that is none":       func(c net.Conn) { _, _ = c.Write([]byte{0x30, 0x05, 0x02, 0x01, 2, 0x64, 0x00}) },
		"an entry in the wrong shape": func(c net.Conn) { _, _ = c.Write([]byte{0x30, 0x07, 0x02, 0x01, 2, 0x64, 0x02, 0x05, 0x00}) },
		"an answer that is of no search": func(c net.Conn) {
			_, _ = c.Write([]byte{0x30, 0x0c, 0x02, 0x01, 2, 0x69, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00})
		},
		"an answer to what was not asked": func(c net.Conn) { _, _ = c.Write(append(entry(77), done(2)...)) },
		"an end that is an error": func(c net.Conn) {
			_, _ = c.Write([]byte{0x30, 0x0c, 0x02, 0x01, 2, 0x65, 0x07, 0x0a, 0x01, 0x50, 0x04, 0x00, 0x04, 0x00})
		},
	} {
		t.Run(says, func(t *testing.T) {
			c := speaker(t, func(conn net.Conn) {
				hear(conn)
				_, _ = conn.Write(append(entry(1), done(1)...))
				hear(conn)
				_, _ = conn.Write(entry(2))
				end(conn)
			})
			c.Timeout = 2 * time.Second
			open := session(t, c)
			n := 0
			_, err := open.Search(t.Context(), ldap.Query{Base: "dc=x", Filter: "(cn=*)"}, func(ldap.Entry) error { n++; return nil })
			if err == nil {
				t.Errorf("%d entries, and no error", n)
			}
		})
	}
}
