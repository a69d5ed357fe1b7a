package logons

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// terminalServices asks Windows, by wtsapi32.dll.
type terminalServices struct{}

// Kinds of information on a session, of WTS_INFO_CLASS.
const (
	wtsUserName           = 5
	wtsDomainName         = 7
	wtsConnectState       = 8
	wtsClientProtocolType = 16
	wtsSessionInfoEx      = 25
)

func (t terminalServices) all() ([]wtsSession, error) {
	var first *windows.WTS_SESSION_INFO
	var count uint32
	if err := windows.WTSEnumerateSessions(0, 0, 1, &first, &count); err != nil {
		return nil, fmt.Errorf("WTSEnumerateSessions: %w", err)
	}
	defer windows.WTSFreeMemory(uintptr(unsafe.Pointer(first)))
	var list []wtsSession
	for _, found := range unsafe.Slice(first, count) {
		s, ok := t.one(found.SessionID)
		if !ok {
			s = wtsSession{number: found.SessionID}
		}
		list = append(list, s)
	}
	return list, nil
}

func (terminalServices) one(number uint32) (wtsSession, bool) {
	s := wtsSession{number: number}
	user, err := ask(number, wtsUserName)
	if err != nil {
		return s, false
	}
	s.account = text(user)
	if s.account == "" || number == 0 { // session 0 is that of the services
		s.account = ""
		return s, true
	}
	if domain, err := ask(number, wtsDomainName); err == nil {
		s.domain = text(domain)
	}
	if state, err := ask(number, wtsConnectState); err == nil && len(state) >= 4 {
		s.connected = *(*uint32)(unsafe.Pointer(&state[0])) == windows.WTSActive
	}
	if protocol, err := ask(number, wtsClientProtocolType); err == nil && len(protocol) >= 2 {
		s.protocol = *(*uint16)(unsafe.Pointer(&protocol[0]))
	}
	if info, err := ask(number, wtsSessionInfoEx); err == nil {
		s.lock = lockOf(info)
	}
	s.autologon = autologonOf(s.account)
	return s, true
}

// ask gives a copy of what Windows knows of a session.
func ask(number uint32, class uintptr) ([]byte, error) {
	query := windows.NewLazySystemDLL("wtsapi32.dll").NewProc("WTSQuerySessionInformationW")
	if err := query.Find(); err != nil {
		return nil, err
	}
	var at *byte
	var size uint32
	ok, _, err := query.Call(0, uintptr(number), class, uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(&size)))
	if ok == 0 {
		return nil, err
	}
	if at == nil {
		return nil, errors.New("no answer")
	}
	defer windows.WTSFreeMemory(uintptr(unsafe.Pointer(at)))
	return append([]byte(nil), unsafe.Slice(at, size)...), nil
}

// text reads UTF-16 up to its NUL.
func text(b []byte) string {
	var units []uint16
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, uint16(b[0])|uint16(b[1])<<8)
	}
	return windows.UTF16ToString(units)
}

// autologonOf looks whether Winlogon logs this account on by itself.
func autologonOf(account string) autologon {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon`, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return autologonNever
	}
	defer key.Close()
	value := func(name string) string {
		v, _, err := key.GetStringValue(name)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(v)
	}
	return winlogon(value, account, windows.DurationSinceBoot())
}
