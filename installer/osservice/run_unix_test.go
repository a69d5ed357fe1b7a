//go:build unix

package osservice

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestHangupReloadsAndAFailedReloadIsReportedOnOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		spec := Spec{Reload: func(context.Context) error {
			if calls++; calls == 2 {
				return errors.New("agent.yaml:\n  unknown key")
			}
			return nil
		}}
		heard, err := supervised(t, spec, untilStopped, syscall.SIGHUP, syscall.SIGHUP, syscall.SIGTERM)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"READY=1", "STATUS=reloading", "STATUS=reloaded", "STATUS=reloading",
			"STATUS=reload failed, the old configuration stays: agent.yaml: unknown key", "STOPPING=1",
		}
		if !slices.Equal(heard, want) {
			t.Errorf("heard %q, want %q", heard, want)
		}
	})
}

func TestHangupWithoutReloadIsAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, err := supervised(t, Spec{}, untilStopped, syscall.SIGHUP); err != nil {
			t.Errorf("err = %v, want a clean stop", err)
		}
	})
}

// TestNotifySocket takes systemd's place at the other end of NOTIFY_SOCKET.
func TestNotifySocket(t *testing.T) {
	for _, address := range []string{filepath.Join(t.TempDir(), "notify"), "@tapline-notify-test"} {
		listener, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("NOTIFY_SOCKET", address)
		if err := Run(Spec{Name: "tapline-test"}, func(context.Context) error { return nil }); err != nil {
			t.Errorf("Run: %v", err)
		}
		for _, want := range []string{"READY=1", "STOPPING=1"} {
			buffer := make([]byte, 100)
			if err := listener.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			n, err := listener.Read(buffer)
			if err != nil || string(buffer[:n]) != want {
				t.Errorf("%s: heard %q, %v; want %q", address, buffer[:n], err, want)
			}
		}
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNotifySocketThatIsGone(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	if err := Run(Spec{Name: "tapline-test"}, func(context.Context) error { return nil }); err == nil {
		t.Error("Run went on although its manager cannot be told")
	}
}
