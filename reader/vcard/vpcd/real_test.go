//go:build linux && cgo

package vpcd_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"tapline/reader"
	"tapline/reader/pcsc"
	"tapline/reader/readertest"
	"tapline/reader/vcard"
	"tapline/reader/vcard/vpcd"
)

// These tests run the real pcscd with the virtual reader driver, in namespaces of their own.

// why the tests cannot run on this machine; set by TestMain before they start.
type world struct{ missing string }

func TestMain(m *testing.M) {
	var w world
	if err := vpcd.Available(); err != nil {
		w.missing = err.Error()
	} else if code, again, err := vpcd.Isolate(context.Background()); err != nil {
		w.missing = "root or user namespaces: " + err.Error()
	} else if again {
		os.Exit(code)
	}
	if w.missing != "" {
		_ = os.Setenv("TAPLINE_TEST_NEEDS", w.missing)
	}
	os.Exit(m.Run())
}

func start(t *testing.T, names ...string) *vpcd.Daemon {
	t.Helper()
	if missing := os.Getenv("TAPLINE_TEST_NEEDS"); missing != "" {
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
	src, err := pcsc.New(pcsc.Config{Exclude: []string{"* 00 01"}})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestABadgeIsReadThroughTheRealService(t *testing.T) {
	d := start(t, "Line A")
	s := readertest.Start(t, source(t))
	s.Want(reader.Attached, reader.Name(d.Reader(0)))
	began := time.Now()
	in, err := vcard.Insert(t.Context(), d.Addr(0), vcard.DESFire([]byte{4, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6}))
	if err != nil {
		t.Fatal(err)
	}
	e := s.WantTap(reader.Name(d.Reader(0)), reader.NewNumber("uid", []byte{4, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6}, 0))
	t.Log("insert to tap", time.Since(began), "event to tap", time.Since(e.At), e.Badge.Technology, fmt.Sprintf("%X", e.Badge.ATR))
	if err := in.Remove(); err != nil {
		t.Fatal(err)
	}
	s.Want(reader.Left, reader.Name(d.Reader(0)))
}
