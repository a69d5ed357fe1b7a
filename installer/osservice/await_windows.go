package osservice

import (
	"errors"
	"fmt"
	"time"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
)

// awaitLimit bounds the wait for a start or an end. kardianos/service 1.3.0 waits for ever on a service that does not
// end: the break after its timeout leaves the select and not the loop.
const awaitLimit = 30 * time.Second

// start asks for the start and waits until the service says that it runs.
func start(spec Spec, s service.Service) error {
	if err := s.Start(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
		return err
	}
	return await(spec, StateRunning)
}

// stop asks for the end and waits for it.
func stop(spec Spec, _ service.Service) error {
	s, done, err := open(spec, windows.SERVICE_STOP)
	if err != nil {
		return err
	}
	defer done()
	if _, err := s.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return err
	}
	return await(spec, StateStopped)
}

// await polls until the service is in the wanted state, or has ended although it should run.
func await(spec Spec, want State) error {
	limit := time.NewTimer(awaitLimit)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		state, err := Status(spec)
		switch {
		case err != nil || state == want:
			return err
		case state == StateFailed && want == StateStopped:
			return nil
		case state == StateFailed || state == StateStopped || state == StateNotInstalled:
			return fmt.Errorf("it %s instead of %s", state, want)
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return fmt.Errorf("still %s after %s", state, awaitLimit)
		}
	}
}
