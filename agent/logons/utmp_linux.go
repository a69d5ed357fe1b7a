package logons

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// utmpPath is where the login records are.
const utmpPath = "/var/run/utmp"

// lookEvery is how often the login records are looked at: one question to the file system, and a read when they changed.
const lookEvery = time.Second

// watchUtmp follows the login records of utmp(5) until ctx ends.
func watchUtmp(ctx context.Context, cfg Config) {
	w := newWatcher(cfg)
	path := cmp.Or(cfg.Utmp, utmpPath)
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	var was time.Time
	for {
		if info, err := os.Stat(path); err == nil && (!info.ModTime().Equal(was) || len(w.logins) > 0) {
			was = info.ModTime() // who died without a word is found by asking for the process, so look again as long as somebody is here
			if b, err := os.ReadFile(path); err == nil {
				w.list(w.count(parseUtmp(b, utmpSize())))
			}
		}
		w.first = false
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// utmpSize is the size of a record of this machine: the C library has 32-bit times in it where programs of 32 bits run too.
func utmpSize() int {
	switch runtime.GOARCH {
	case "amd64", "386", "arm", "ppc64le", "riscv64", "mips", "mipsle", "s390x":
		return 384
	}
	return 400
}

// Places in a record, from its start.
const (
	utmpPID, utmpLine, utmpUser, utmpHost = 4, 8, 44, 76
	utmpLineLen, utmpUserLen, utmpHostLen = 32, 32, 256
	userProcess                           = 7
)

// parseUtmp gives the logins of users that the records tell of. What is cut off is left out.
func parseUtmp(b []byte, size int) []login {
	var all []login
	for ; len(b) >= size; b = b[size:] {
		if int16(binary.NativeEndian.Uint16(b)) != userProcess {
			continue
		}
		text := func(at, n int) string {
			s, _, _ := bytes.Cut(b[at:at+n], []byte{0})
			return string(s)
		}
		line, host := text(utmpLine, utmpLineLen), text(utmpHost, utmpHostLen)
		pid := binary.NativeEndian.Uint32(b[utmpPID:])
		l := login{
			id: "utmp-" + line + "-" + strconv.FormatUint(uint64(pid), 10), account: text(utmpUser, utmpUserLen), uid: noUID, leader: pid,
			remote: host != "" && !strings.HasPrefix(host, ":"),
		}
		if l.remote {
			l.service = serviceOf(line)
		}
		if l.account != "" && (l.remote || !strings.HasPrefix(line, "pts/")) { // a terminal window at the screen is no logon
			all = append(all, l)
		}
	}
	return all
}

// serviceOf guesses what let somebody in from afar: a pseudo-terminal is a shell's.
func serviceOf(line string) string {
	if strings.HasPrefix(line, "pts/") {
		return "sshd"
	}
	return ""
}

// count leaves out logins whose process is gone (after a crash nobody takes their record back), and those at the machine's own terminals where logind, which
// knows more of them, runs.
func (w *watcher) count(all []login) []login {
	_, err := os.Stat(cmp.Or(w.cfg.Seats, "/run/systemd/seats"))
	logind := err == nil
	var list []login
	for _, l := range all {
		if errors.Is(unix.Kill(int(l.leader), 0), unix.ESRCH) || logind && !l.remote {
			continue
		}
		l.nobodys = automatic(l, w.cfg.Proc)
		list = append(list, l)
	}
	return list
}
