package vcard

import (
	"encoding/hex"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// slot is the reader's side of the protocol: it listens, and asks the card that comes.
type slot struct {
	t    *testing.T
	conn *net.TCPConn
}

// lay inserts card into a reader and returns both ends.
func lay(t *testing.T, card Card) (slot, *Inserted) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	in, err := Insert(t.Context(), l.Addr().String(), card)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second)) // ends a test that hangs
	return slot{t, conn.(*net.TCPConn)}, in
}

func (s slot) order(request ...byte) {
	s.t.Helper()
	if err := send(s.conn, request); err != nil {
		s.t.Fatal(err)
	}
}

func (s slot) ask(request string) string {
	s.t.Helper()
	b, err := hex.DecodeString(request)
	if err != nil {
		s.t.Fatal(err)
	}
	s.order(b...)
	answer, err := receive(s.conn)
	if err != nil {
		s.t.Fatal(err)
	}
	return hex.EncodeToString(answer)
}

func TestACardAnswersItsReader(t *testing.T) {
	uid := []byte{0x04, 0xA1, 0xB2, 0xC3}
	for _, tt := range []struct {
		sentence string
		card     Card
		request  string
		want     string
	}{
		{"a DESFire badge gives its ATR", DESFire(uid), "04", "3b8180018080"},
		{"a Classic badge gives its ATR", Classic1K(uid), "04", "3b8f8001804f0ca000000306030001000000006a"},
		{"a badge gives its number", DESFire(uid), "ffca000000", "04a1b2c39000"},
		{"a badge that is asked for too little names its length", DESFire(uid), "ffca000002", "6c04"},
		{"a badge knows no other command", DESFire(uid), "00a4040000", "6d00"},
		{"a contact card has no number", Contact(), "ffca000000", "6d00"},
		{"a broken command has a wrong length", DESFire(uid), "ffca", "6700"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			s, in := lay(t, tt.card)
			s.order(powerOn)
			s.order(reset)
			if diff := cmp.Diff(tt.want, s.ask(tt.request)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if err := in.Remove(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAMutedCardHasNoValidATR(t *testing.T) {
	s, in := lay(t, Muted())
	if got := len(s.ask("04")) / 2; got <= 33 {
		t.Errorf("it answers to reset with %d bytes, which may be an ATR", got)
	}
	if err := in.Remove(); err != nil {
		t.Error(err)
	}
}

func TestACardTellsWhenItWasReadAndWhenItsReaderIsGone(t *testing.T) {
	s, in := lay(t, DESFire([]byte{4, 1, 2, 3}))
	s.ask("04")
	select {
	case <-in.Read():
		t.Error("giving the ATR counts as being read")
	default:
	}
	s.ask("ffca000000")
	<-in.Read()
	_ = s.conn.Close()
	<-in.Gone()
	if err := in.Remove(); err != nil {
		t.Errorf("a card whose reader is gone cannot be removed: %v", err)
	}
}

func TestACardNeedsAReader(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	if _, err := Insert(t.Context(), addr, Muted()); err == nil {
		t.Error("a card was inserted where no reader listens")
	}
}
