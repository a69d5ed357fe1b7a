package osservice

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
)

// RunManaged is what "service run" calls: the entry for the Service Control Manager. It goes by the verb and never by
// asking "am I a service", because that question is answered by the session number, which wine and some launchers
// get wrong. Started from a console it fails with a hint to use the foreground verb.
func RunManaged(spec Spec, run Func) error {
	if err := spec.check(); err != nil {
		return err
	}
	h := &handler{spec: spec, run: run}
	err := svc.Run(spec.WindowsName(), h)
	if errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
		return Fault(Usage, fmt.Errorf("run as Windows service: %w", err),
			"only the service manager starts \"service run\"; use \"run\" in a console, or \"service start\"")
	}
	if err != nil {
		return fmt.Errorf("run as Windows service: %w", err)
	}
	return h.failure
}

// handler is our own svc.Handler, because the one of kardianos/service accepts neither session nor power events.
type handler struct {
	spec    Spec
	run     Func
	failure error // written by Execute, read after svc.Run has returned
}

const accepted = svc.AcceptStop | svc.AcceptShutdown | svc.AcceptSessionChange | svc.AcceptPowerEvent

// Execute is called by svc.Run on a goroutine of its own and owns both channels.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	status <- svc.Status{State: svc.StartPending}

	ready := make(chan struct{})
	announce := sync.OnceFunc(func() { close(ready) })
	var program sync.WaitGroup
	ended := make(chan struct{})
	program.Go(func() {
		defer close(ended)
		h.failure = h.run(withReady(ctx, announce))
	})
	if !h.spec.ManualReady {
		announce()
	}
	h.serve(cancel, requests, status, ready, ended)
	program.Wait()
	h.failure = outcome(ctx, h.failure)
	status <- svc.Status{State: svc.StopPending}
	return h.failure != nil, uint32(CodeOf(h.failure))
}

// serve answers the manager until the program has ended.
func (h *handler) serve(cancel func(), requests <-chan svc.ChangeRequest, status chan<- svc.Status, ready, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-ready:
			ready = nil
			status <- svc.Status{State: svc.Running, Accepts: accepted}
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				ready = nil
				status <- svc.Status{State: svc.StopPending, WaitHint: 20_000}
				cancel()
			default:
				h.hear(r)
			}
		}
	}
}

// hear passes a session or power change on, if it is one that has a name here.
func (h *handler) hear(r svc.ChangeRequest) {
	kind := kindOf(r)
	if kind == 0 || h.spec.OnEvent == nil {
		return
	}
	e := Event{Kind: kind}
	if r.Cmd == svc.SessionChange && r.EventData != 0 {
		// svc hands the WTSSESSION_NOTIFICATION's address over as a number and keeps it alive only during this call.
		notification := *(**windows.WTSSESSION_NOTIFICATION)(unsafe.Pointer(&r.EventData))
		e.Session = notification.SessionID
	}
	h.spec.OnEvent(e)
}

func kindOf(r svc.ChangeRequest) EventKind {
	const suspend, resumeAutomatic = 0x4, 0x12 // PBT_APMSUSPEND, PBT_APMRESUMEAUTOMATIC
	switch {
	case r.Cmd == svc.PowerEvent && r.EventType == suspend:
		return PowerSuspend
	case r.Cmd == svc.PowerEvent && r.EventType == resumeAutomatic:
		return PowerResume
	case r.Cmd != svc.SessionChange:
		return 0
	}
	return map[uint32]EventKind{
		windows.WTS_CONSOLE_CONNECT: SessionConnect, windows.WTS_REMOTE_CONNECT: SessionConnect,
		windows.WTS_CONSOLE_DISCONNECT: SessionDisconnect, windows.WTS_REMOTE_DISCONNECT: SessionDisconnect,
		windows.WTS_SESSION_LOGON: SessionLogon, windows.WTS_SESSION_LOGOFF: SessionLogoff,
		windows.WTS_SESSION_LOCK: SessionLock, windows.WTS_SESSION_UNLOCK: SessionUnlock,
	}[r.EventType]
}
