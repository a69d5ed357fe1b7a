package osservice

import (
	"errors"
	"fmt"
	"time"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

func config(spec Spec) *service.Config {
	return &service.Config{
		Name: spec.WindowsName(), DisplayName: spec.displayName(), Description: spec.Description,
		UserName: spec.User, Arguments: spec.arguments(), Dependencies: spec.Dependencies,
	}
}

// Status asks the Service Control Manager, with rights that every account has.
func Status(spec Spec) (State, error) {
	s, done, err := open(spec, windows.SERVICE_QUERY_STATUS)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return StateNotInstalled, nil
	}
	if err != nil {
		return StateUnknown, fmt.Errorf("ask for service %s: %w", spec.WindowsName(), err)
	}
	defer done()
	status, err := s.Query()
	if err != nil {
		return StateUnknown, fmt.Errorf("ask for service %s: %w", spec.WindowsName(), err)
	}
	return stateOf(status), nil
}

// stateOf: Windows has no "failed"; a stopped service with an exit code is the same thing.
func stateOf(status svc.Status) State {
	switch status.State {
	case svc.Stopped:
		if status.Win32ExitCode != 0 && status.Win32ExitCode != uint32(windows.ERROR_SERVICE_NEVER_STARTED) {
			return StateFailed
		}
		return StateStopped
	case svc.StartPending, svc.ContinuePending:
		return StateStarting
	case svc.StopPending:
		return StateStopping
	case svc.Running, svc.Paused, svc.PausePending:
		return StateRunning
	}
	return StateUnknown
}

// open opens the service with just the rights asked for; done closes it.
func open(spec Spec, rights uint32) (s *mgr.Service, done func(), err error) {
	manager, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT)
	if err != nil {
		return nil, nil, err
	}
	name, err := windows.UTF16PtrFromString(spec.WindowsName())
	if err != nil {
		return nil, nil, errors.Join(err, windows.CloseServiceHandle(manager))
	}
	handle, err := windows.OpenService(manager, name, rights)
	if err != nil {
		_ = windows.CloseServiceHandle(manager)
		return nil, nil, err
	}
	s = &mgr.Service{Name: spec.WindowsName(), Handle: handle}
	return s, func() { _ = s.Close(); _ = windows.CloseServiceHandle(manager) }, nil
}

// ours: Windows does not say who created a service; an MSI's entry is removed by the MSI, which the README says.
func ours(Spec) error { return nil }

// Recover sets what the manager does when the service dies: start it again after 2 s, 5 s and then every 30 s, also when
// it ended by itself with an error. The count starts over after a good day. It applies to a service that the MSI
// created as well, and needs an administrator.
func Recover(spec Spec) error {
	s, done, err := open(spec, windows.SERVICE_CHANGE_CONFIG|windows.SERVICE_START)
	if err != nil {
		return fmt.Errorf("set recovery of %s: %w", spec.WindowsName(), err)
	}
	defer done()
	actions := []mgr.RecoveryAction{
		{Type: mgr.ServiceRestart, Delay: 2 * time.Second},
		{Type: mgr.ServiceRestart, Delay: 5 * time.Second},
		{Type: mgr.ServiceRestart, Delay: 30 * time.Second},
	}
	const day = 24 * 60 * 60
	if err := s.SetRecoveryActions(actions, day); err != nil {
		return fmt.Errorf("set recovery of %s: %w", spec.WindowsName(), err)
	}
	if err := s.SetRecoveryActionsOnNonCrashFailures(true); err != nil && !errors.Is(err, windows.ERROR_INVALID_LEVEL) {
		return fmt.Errorf("set recovery of %s: %w", spec.WindowsName(), err)
	}
	return nil
}

func deniedByManager(err error) bool { return errors.Is(err, windows.ERROR_ACCESS_DENIED) }

func elevationHint() string { return "run it in a console that was opened as administrator" }

func logHint(spec Spec) string {
	return "the Windows event log, Application, source " + spec.WindowsName() + ", shows the service's last words"
}
