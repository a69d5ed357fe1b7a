package logons

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"tapline/agent/session"
)

// entry is one login record.
func entry(kind int16, pid int, line, user, host string) []byte {
	b := make([]byte, utmpSize())
	binary.NativeEndian.PutUint16(b, uint16(kind))
	binary.NativeEndian.PutUint32(b[utmpPID:], uint32(pid))
	copy(b[utmpLine:utmpLine+utmpLineLen], line)
	copy(b[utmpUser:utmpUser+utmpUserLen], user)
	copy(b[utmpHost:utmpHost+utmpHostLen], host)
	return b
}

func TestLoginRecords(t *testing.T) {
	b := slices.Concat(
		entry(2, 1, "~", "reboot", "6.1"), entry(userProcess, 10, "tty1", "hmi", ""), entry(userProcess, 11, "pts/0", "hmi", "10.0.0.7"),
		entry(userProcess, 12, "pts/1", "hmi", ":0"), entry(8, 13, "pts/2", "", ""), entry(userProcess, 14, "x", "hmi", "10.0.0.8"), []byte("cut"))
	var got []string
	for _, l := range parseUtmp(b, utmpSize()) {
		got = append(got, fmt.Sprint(l.id, " ", l.account, " ", l.remote, " ", reasonOf(l)))
	}
	want := []string{"utmp-tty1-10 hmi false os-logon", "utmp-pts/0-11 hmi true ssh", "utmp-x-14 hmi true remote"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// FuzzLoginRecords: whatever lies there, each login has an account without a NUL, and there are no more than there are whole records.
func FuzzLoginRecords(f *testing.F) {
	f.Add(entry(userProcess, 10, "tty1", "hmi", ""))
	f.Add(slices.Concat(entry(userProcess, 11, "pts/0", strings.Repeat("x", 32), strings.Repeat("h", 256)), []byte{7}))
	f.Fuzz(func(t *testing.T, b []byte) {
		all := parseUtmp(b, utmpSize())
		if len(all) > len(b)/utmpSize() {
			t.Errorf("%d logins of %d bytes", len(all), len(b))
		}
		for _, l := range all {
			if l.account == "" || strings.ContainsRune(l.account+l.id, 0) || len(l.account) > utmpUserLen {
				t.Errorf("%+v", l)
			}
		}
	})
}

// TestARecordComesAndGoes follows a real file: a shell from afar, whose process is this test's, is seen and seen to end.
func TestARecordComesAndGoes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "utmp")
	events := make(chan session.Event, 8)
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		watchUtmp(ctx, Config{Utmp: path, Seats: filepath.Join(dir, "none"), Emit: func(e session.Event) { events <- e }, Log: zap.NewNop()})
	})
	defer watching.Wait()
	defer cancel()
	next := func() session.Event {
		t.Helper()
		select {
		case e := <-events:
			return e
		case <-time.After(20 * time.Second):
			t.Fatal("nothing is seen")
		}
		return nil
	}
	if err := os.WriteFile(path, entry(userProcess, os.Getpid(), "pts/9", "hmi", "10.0.0.7"), 0o600); err != nil {
		t.Fatal(err)
	}
	used, ok := next().(session.Used)
	if !ok || used.Use.Reason != session.SSH || used.Use.Account != "hmi" || !used.Use.Remote {
		t.Fatalf("saw %+v", used)
	}
	if err := os.WriteFile(path, entry(8, os.Getpid(), "pts/9", "", ""), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := next(); got != (session.Unused{ID: used.Use.ID}) {
		t.Errorf("saw %+v", got)
	}
}

func TestWhatALoginsChangesMean(t *testing.T) {
	var got []string
	w := newWatcher(Config{Accounts: []string{"hmi"}, Log: zap.NewNop(), Emit: func(e session.Event) {
		switch e := e.(type) {
		case session.Used:
			got = append(got, "used "+e.Use.ID+" "+string(e.Use.Reason))
		case session.Unused:
			got = append(got, "unused "+e.ID)
		}
	}})
	desk := login{id: "1", account: "hmi", active: true}
	w.list([]login{desk, {id: "0", account: "hmi", remote: true, service: "sshd"}})
	desk.locked = true
	w.changed(desk)
	desk.locked = false
	w.changed(desk)
	desk.idle = true
	w.changed(desk)
	desk.idle = false
	w.changed(desk)
	w.came(login{id: "2", account: "other"})
	w.came(login{id: "3", account: "hmi", nobodys: true})
	w.came(login{id: "4", account: "hmi"})
	w.list([]login{desk}) // as after a connection that was lost
	w.list([]login{desk, {id: "5", account: "hmi"}})
	w.left("5")
	w.left("5")
	want := []string{
		"used 0 ssh", "unused 1", "used 1 os-unlock", "unused 1", "used 1 input", "used 4 os-logon",
	}
	if !slices.Equal(got[:6], want) || !slices.Contains(got, "used 5 os-logon") || got[len(got)-1] != "unused 5" {
		t.Errorf("got  %q\nwant %q ...", got, want)
	}
}

func TestAutologins(t *testing.T) {
	proc := t.TempDir()
	for pid, cmdline := range map[string]string{"10": "/bin/login\x00-f\x00hmi\x00", "11": "/bin/login\x00--\x00hmi\x00", "12": "sh\x00-f\x00x\x00"} {
		if err := os.MkdirAll(filepath.Join(proc, pid), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, "cmdline"), []byte(cmdline), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		login login
		want  bool
	}{
		{login{service: "gdm-autologin"}, true},
		{login{service: "login", leader: 10}, true},
		{login{service: "login", leader: 11}, false},
		{login{leader: 12}, false},
		{login{leader: 13}, false},
	} {
		if got := automatic(tt.login, proc); got != tt.want {
			t.Errorf("%+v is automatic: %t", tt.login, got)
		}
	}
	if got := busName("getty@tty1.service"); got != "getty_40tty1_2eservice" {
		t.Errorf("the unit's path ends in %s", got)
	}
}
