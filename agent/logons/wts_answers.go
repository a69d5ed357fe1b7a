package logons

import (
	"encoding/binary"
	"strings"
	"time"
)

// Places in a WTSINFOEX of level 1, from its start: the union behind the level begins at eight, for the 64-bit numbers in it.
const (
	infoLevel, infoFlags = 0, 16
	infoLocked           = 0
	infoUnlocked         = 1
)

// lockOf reads a session's lock from a WTSINFOEX. Flags of -1 say that Windows does not know.
func lockOf(info []byte) lock {
	if len(info) < infoFlags+4 || binary.LittleEndian.Uint32(info[infoLevel:]) != 1 {
		return lockUnknown
	}
	switch binary.LittleEndian.Uint32(info[infoFlags:]) {
	case infoLocked:
		return locked
	case infoUnlocked:
		return unlocked
	}
	return lockUnknown
}

// justBooted is for how long after a boot Winlogon may still log an account on by itself.
const justBooted = 5 * time.Minute

// winlogon says from the values of Winlogon's key whether it logs an account on by itself. Up is for how long the machine is up.
func winlogon(value func(name string) string, account string, up time.Duration) autologon {
	if value("AutoAdminLogon") != "1" || !strings.EqualFold(nameOf(value("DefaultUserName")), account) {
		return autologonNever
	}
	if value("ForceAutoLogon") == "1" {
		return autologonAlways
	}
	if up < justBooted {
		return autologonAtBoot
	}
	return autologonNever
}

// nameOf is an account's name without its domain.
func nameOf(account string) string { return account[strings.LastIndexByte(account, '\\')+1:] }
