//go:build linux && cgo

package vpcd_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zaptest"

	"tapline/reader"
	"tapline/reader/pcsc"
	"tapline/reader/readertest"
	"tapline/reader/vcard"
	"tapline/reader/vcard/vpcd"
)

// These tests run the real pcscd with the virtual reader driver, in namespaces of their own.

// needs, in the environment of the tests, is what this machine lacks for them.
const needs = "TAPLINE_TEST_NEEDS"

func TestMain(m *testing.M) {
	missing := vpcd.Available()
	if missing == nil {
		code, again, err := vpcd.Isolate(context.Background())
		if again {
			os.Exit(code)
		}
		if err != nil {
			missing = fmt.Errorf("root or user namespaces: %w", err)
		}
	}
	if missing != nil {
		_ = os.Setenv(needs, missing.Error())
	}
	os.Exit(m.Run())
}

func start(t *testing.T, names ...string) *vpcd.Daemon {
	t.Helper()
	if missing := os.Getenv(needs); missing != "" {
		t.Skip("needs: " + missing)
	}
	d, err := vpcd.Start(t.Context(), t.TempDir(), names...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Stop() })
	return d
}

func source(t *testing.T) reader.Source {
	t.Helper()
	src, err := pcsc.New(pcsc.Config{Exclude: []string{vpcd.Spare}, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func uid(badge int) []byte { return []byte{4, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, byte(badge)} }

func number(badge int) reader.Number { return reader.NewNumber("uid", uid(badge), 0) }

func insert(t *testing.T, d *vpcd.Daemon, slot int, card vcard.Card) *vcard.Inserted {
	t.Helper()
	in, err := vcard.Insert(t.Context(), d.Addr(slot), card)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func remove(t *testing.T, in *vcard.Inserted) {
	t.Helper()
	if err := in.Remove(); err != nil {
		t.Fatal(err)
	}
}

func TestEveryKindOfCardIsToldThroughTheRealService(t *testing.T) {
	d := start(t, "Line A")
	at := reader.Name(d.Reader(0))
	s := readertest.Start(t, source(t))
	s.Want(reader.Attached, at)
	for _, tt := range []struct {
		sentence string
		card     vcard.Card
		want     reader.Reason
		tech     reader.Technology
	}{
		{"a DESFire badge is a tap", vcard.DESFire(uid(0)), "", reader.ISO14443A},
		{"a MIFARE Classic badge is a tap", vcard.Classic1K(uid(0)), "", reader.ISO14443A},
		{"a contact card has no number", vcard.Contact(), reader.NoNumber, ""},
		{"a card laid upside down is mute", vcard.Muted(), reader.Mute, ""},
		{"a phone has another number each time", vcard.DESFire([]byte{8, 1, 2, 3}), reader.RandomNumber, ""},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			in := insert(t, d, 0, tt.card)
			if tt.want != "" {
				if e := s.Want(reader.Unreadable, at); e.Reason != tt.want {
					t.Errorf("reason is %q, want %q", e.Reason, tt.want)
				}
				remove(t, in)
				return
			}
			e := s.WantTap(at, number(0))
			if diff := cmp.Diff(reader.Badge{Number: e.Badge.Number, Technology: tt.tech, Assurance: reader.ChipUID, ATR: tt.card.ATR}, e.Badge,
				cmp.Comparer(reader.Number.Equal)); diff != "" {
				t.Errorf("badge (-want +got):\n%s", diff)
			}
			remove(t, in)
			s.Want(reader.Left, at)
		})
	}
}

func TestTwoReadersAreToldApart(t *testing.T) {
	d := start(t, "Line A", "Line B")
	s := readertest.Start(t, source(t))
	names := map[reader.Name]bool{s.Next().Reader: true, s.Next().Reader: true}
	if !names[reader.Name(d.Reader(0))] || !names[reader.Name(d.Reader(1))] {
		t.Fatalf("attached: %v", names)
	}
	first := insert(t, d, 1, vcard.DESFire(uid(1)))
	s.WantTap(reader.Name(d.Reader(1)), number(1))
	second := insert(t, d, 0, vcard.DESFire(uid(0)))
	s.WantTap(reader.Name(d.Reader(0)), number(0))
	remove(t, first)
	s.Want(reader.Left, reader.Name(d.Reader(1)))
	remove(t, second)
	s.Want(reader.Left, reader.Name(d.Reader(0)))
}

func TestTheServiceMayCrashAndComeBack(t *testing.T) {
	d := start(t, "Line A")
	at := reader.Name(d.Reader(0))
	s := readertest.Start(t, source(t))
	for _, end := range []func() error{d.Kill, d.Stop, d.Kill} {
		s.Want(reader.Attached, at)
		in := insert(t, d, 0, vcard.DESFire(uid(0)))
		s.WantTap(at, number(0))
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if e := s.Want(reader.Detached, at); e.Reason != reader.ServiceGone {
			t.Errorf("reason is %q, want %q", e.Reason, reader.ServiceGone)
		}
		<-in.Gone()
		remove(t, in)
		if err := d.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	s.Want(reader.Attached, at)
}

func TestTheServiceMayComeLater(t *testing.T) {
	d := start(t, "Line A")
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	s := readertest.Start(t, source(t))
	if err := d.Restart(); err != nil {
		t.Fatal(err)
	}
	s.Want(reader.Attached, reader.Name(d.Reader(0)))
}
