package osservice

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/kardianos/service"
)

// State is what the service manager knows of a service.
type State int

// The states, from "never heard of it" to "working".
const (
	StateUnknown State = iota
	StateNotInstalled
	StateStopped
	StateStarting
	StateRunning
	StateStopping
	StateFailed
)

// String is the state in words.
func (s State) String() string {
	names := [...]string{"unknown", "not installed", "stopped", "starting", "running", "stopping", "failed"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("state %d", int(s))
	}
	return names[s]
}

// Install makes the service known to the manager, to be started at every boot, with the running executable as its
// program. It does not start it. It refuses with [AlreadyInstalled] whatever brought the service: a package's unit
// would otherwise be shadowed by ours and never be updated again.
func Install(spec Spec) error {
	if err := spec.check(); err != nil {
		return err
	}
	state, err := Status(spec)
	if err != nil {
		return err
	}
	if state != StateNotInstalled {
		return Fault(AlreadyInstalled, fmt.Errorf("install service %s: already installed (%s)", spec.Name, state),
			"\"service start\" starts it; to replace it, \"service uninstall\" first, or remove the package that brought it")
	}
	if err := act(spec, "install", service.Service.Install); err != nil {
		return err
	}
	return Recover(spec)
}

// Uninstall stops the service and makes the manager forget it. Configuration, keys and evidence stay where they are.
func Uninstall(spec Spec) error {
	state, err := installed(spec, "uninstall")
	if err != nil {
		return err
	}
	if err := ours(spec); err != nil {
		return err
	}
	if state != StateStopped && state != StateFailed {
		if err := Stop(spec); err != nil {
			return err
		}
	}
	return act(spec, "uninstall", service.Service.Uninstall)
}

// Start starts the service and returns when the manager says that it is up.
func Start(spec Spec) error {
	state, err := installed(spec, "start")
	if err != nil || state == StateRunning {
		return err
	}
	return act(spec, "start", func(s service.Service) error { return start(spec, s) })
}

// Stop stops the service and returns when it has ended; nothing to stop is no error.
func Stop(spec Spec) error {
	state, err := installed(spec, "stop")
	if err != nil || state == StateStopped || state == StateFailed {
		return err
	}
	return act(spec, "stop", func(s service.Service) error { return stop(spec, s) })
}

// Restart is Stop, then Start: a stopped service is running afterwards.
func Restart(spec Spec) error {
	if err := Stop(spec); err != nil {
		return err
	}
	return Start(spec)
}

func installed(spec Spec, verb string) (State, error) {
	state, err := Status(spec)
	if err == nil && state == StateNotInstalled {
		err = Fault(NotInstalled, fmt.Errorf("%s service %s: not installed", verb, spec.Name),
			"install the package, or run \"service install\" as an administrator")
	}
	return state, err
}

// act does one thing through kardianos/service and sorts its errors.
func act(spec Spec, verb string, do func(service.Service) error) error {
	s, err := service.New(nil, config(spec))
	if err == nil {
		err = do(s)
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s service %s: %w", verb, spec.Name, err)
	switch {
	case errors.Is(err, fs.ErrPermission) || deniedByManager(err):
		return Fault(NotPermitted, err, elevationHint())
	case errors.Is(err, service.ErrNotInstalled):
		return Fault(NotInstalled, err, "run \"service install\" as an administrator")
	}
	return Fault(Failure, err, logHint(spec))
}
