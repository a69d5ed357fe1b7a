package logons

import (
	"bytes"
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
)

// automatic reports whether nobody made the logon: a display manager's or getty's autologin, which calls login as one that is authenticated already. Where the
// agent's own service may not look at processes, systemd is asked how the terminal's getty was started.
func automatic(l login, proc string) bool {
	if strings.Contains(l.service, "autologin") {
		return true
	}
	b, err := os.ReadFile(filepath.Join(cmp.Or(proc, "/proc"), strconv.FormatUint(uint64(l.leader), 10), "cmdline"))
	args := bytes.Split(bytes.TrimRight(b, "\x00"), []byte{0})
	return err == nil && len(args) > 2 && filepath.Base(string(args[0])) == "login" && string(args[1]) == "-f"
}

// gettyIsAutomatic asks systemd for the command of the getty of a terminal.
func gettyIsAutomatic(ctx context.Context, conn *dbus.Conn, tty string) bool {
	for _, unit := range []string{"getty@" + tty, "serial-getty@" + tty, "console-getty"} {
		var commands []struct {
			Path           string
			Args           []string
			Ignore         bool
			T1, T2, T3, T4 uint64
			PID            uint32
			Code, Status   int32
		}
		v, err := conn.Object("org.freedesktop.systemd1", dbus.ObjectPath("/org/freedesktop/systemd1/unit/"+busName(unit+".service"))).
			GetProperty("org.freedesktop.systemd1.Service.ExecStart")
		if err != nil || ctx.Err() != nil || v.Store(&commands) != nil {
			continue
		}
		for _, c := range commands {
			if slices.ContainsFunc(c.Args, func(a string) bool { return a == "-a" || strings.HasPrefix(a, "--autologin") }) {
				return true
			}
		}
	}
	return false
}

// busName is a unit's name as a part of an object path: what is no letter and no digit is _ and two hex digits.
func busName(unit string) string {
	var b strings.Builder
	for i, c := range []byte(unit) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' && i > 0
		if letter {
			b.WriteByte(c)
			continue
		}
		b.WriteString("_" + hexByte(c))
	}
	return b.String()
}

func hexByte(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}
