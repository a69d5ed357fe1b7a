//go:build cgo && linux

package pcsc_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapline/reader"
	"tapline/reader/pcsc"
	"tapline/reader/pcsc/pcscdtest"
	"tapline/reader/readertest"
	"tapline/reader/vcard"
)

// socketName is where the client library looks for the path of the service's socket.
const socketName = "PCSCLITE_CSOCK_NAME"

// TestMain gives the process its one socket path, before the client library first asks.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "pcsc")
	if err == nil {
		err = os.Setenv(socketName, filepath.Join(dir, "pcscd.comm"))
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

const desk = "Desk 00 00"

// serve runs a service with a reader for the length of a test.
func serve(t testing.TB, names ...string) *pcscdtest.Daemon {
	t.Helper()
	d := pcscdtest.New(os.Getenv(socketName))
	for _, n := range names {
		d.Plug(n)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Kill)
	return d
}

func source(t testing.TB, cfg pcsc.Config) reader.Source {
	t.Helper()
	if cfg.Settle == 0 {
		cfg.Settle = time.Millisecond
	}
	src, err := pcsc.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func uid(badge int) []byte { return []byte{4, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, byte(badge)} }

func number(badge int) reader.Number { return reader.NewNumber("uid", uid(badge), 0) }

// harness moves badges on a reader of the test service.
type harness struct {
	*pcscdtest.Daemon
	source reader.Source
}

func (h harness) Source() reader.Source          { return h.source }
func (h harness) Reader() reader.Name            { return desk }
func (h harness) Presence() bool                 { return true }
func (h harness) Number(badge int) reader.Number { return number(badge) }

func (h harness) Tap(badge int) error {
	h.Insert(desk, vcard.DESFire(uid(badge)))
	h.Noticed()
	return nil
}

func (h harness) Remove() error {
	h.Daemon.Remove(desk)
	h.Noticed()
	return nil
}

func (h harness) Spoil() (reader.Reason, error) {
	h.Blink(desk)
	return reader.TooQuick, nil
}

// unplugged is a harness whose reader is pulled, crashed is one whose service dies.
type (
	unplugged struct{ harness }
	crashed   struct{ harness }
)

func (h unplugged) Detach() error {
	h.Unplug(desk)
	return nil
}

func (h unplugged) Attach() error {
	h.Plug(desk)
	return nil
}

func (h crashed) Detach() error {
	h.Kill()
	return nil
}

func (h crashed) Attach() error { return h.Start() }

func TestTheSourceKeepsTheContractWhenReadersArePulled(t *testing.T) {
	readertest.Run(t, func(t *testing.T) readertest.Harness {
		return unplugged{harness{serve(t, desk), source(t, pcsc.Config{})}}
	})
}

func TestTheSourceKeepsTheContractWhenTheServiceDies(t *testing.T) {
	readertest.Run(t, func(t *testing.T) readertest.Harness {
		return crashed{harness{serve(t, desk), source(t, pcsc.Config{})}}
	})
}
