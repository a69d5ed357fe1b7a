package localapi

import (
	"context"
	"path"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// class is a kind of caller.
type class uint8

const (
	// owner is root (an administrator on Windows) and the agent's own account.
	owner class = 1 << iota
	// local is any account of the machine, known by the kernel: programs of the shared account, lockers, HMIs.
	local
	// browser is whatever comes over the loopback listener. It may do what the panel's page needs, and no more: anybody at the screen can.
	browser
)

// rights is the one table of who may call what, over gRPC and over HTTP alike. What is not here nobody may call.
func rights() map[string]class {
	return map[string]class{
		taplinev1.LocalService_WhoIsHere_FullMethodName:      owner | local | browser,
		taplinev1.LocalService_WatchPresence_FullMethodName:  owner | local | browser,
		taplinev1.LocalService_GetStatus_FullMethodName:      owner | local | browser, // all but the owner get the outline alone
		taplinev1.LocalService_ClaimBadge_FullMethodName:     owner | local | browser, // the broker throttles it, and wrong PINs
		taplinev1.LocalService_EnterPin_FullMethodName:       owner | local | browser, // only a tap that waits for one can be answered
		taplinev1.LocalService_BeginEmergency_FullMethodName: owner | local | browser, // it must never be a question of rights
		taplinev1.LocalService_ClaimEmergency_FullMethodName: owner | local | browser, // it names nobody: whoever taps next does
		taplinev1.LocalService_EndSession_FullMethodName:     owner | browser,         // the panel's button; programs have no business with it
		taplinev1.LocalService_IssueToken_FullMethodName:     owner | local,           // the station asks beyond it for whom the account may have them
		taplinev1.LocalService_GetTokenKeys_FullMethodName:   owner | local | browser,
		taplinev1.LocalService_SignAction_FullMethodName:     owner | local,
		taplinev1.LocalService_Authorize_FullMethodName:      owner | local, // lockers ask as the account that they guard
		taplinev1.LocalService_AttachHelper_FullMethodName:   owner | local, // the account of the graphical session; the station knows which
		taplinev1.LocalService_Reload_FullMethodName:         owner,
		taplinev1.LocalService_FetchSecret_FullMethodName:    owner,
		taplinev1.LocalService_GetDiagnostics_FullMethodName: owner,
	}
}

// classOf is what kind of caller ctx belongs to; 0 for nobody.
func classOf(ctx context.Context) class {
	p, ok := peerOf(ctx)
	switch {
	case !ok:
		return 0
	case p.Browser:
		return browser
	case p.Owner:
		return owner
	}
	return local
}

// allowed asks whether the caller may call the method at all.
func allowed(ctx context.Context, method string) error {
	may := rights()[method]
	if may&classOf(ctx) != 0 {
		return nil
	}
	name := path.Base(method)
	if may&local != 0 {
		return wire.E(wire.Denied, "%s is not for browsers: call it over the agent's socket", name)
	}
	return wire.E(wire.Denied, "only root and the agent's own account may call %s", name)
}
