package keystore

import "golang.org/x/sys/windows"

const ringName = "Windows Credential Manager of this account"

func unsafeKeyring() string { return "" }

// noKeyring says why this process should not choose the keyring by itself: the vault belongs to the calling account, so what an administrator's
// shell puts there the service would never find.
func noKeyring() string {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return "the account of this process is not known"
	}
	if !user.User.Sid.IsWellKnown(windows.WinLocalSystemSid) {
		return "not running as LocalSystem, whose keyring the service has"
	}
	return ""
}
