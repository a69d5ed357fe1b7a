//go:build !windows

package keystore

import "os"

const ringName = "Secret Service of the session"

// unsafeKeyring says why the keyring must not be touched. Without a bus address the D-Bus library starts a bus and a keyring daemon of its own
// and leaves them behind.
func unsafeKeyring() string {
	if os.Getenv("DBUS_SESSION_BUS_ADDRESS") == "" {
		return "no session bus (DBUS_SESSION_BUS_ADDRESS is not set)"
	}
	return ""
}

// noKeyring says why this process should not choose the keyring by itself.
func noKeyring() string {
	if os.Geteuid() == 0 {
		return "a system service has no session keyring"
	}
	return unsafeKeyring()
}
