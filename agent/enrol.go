package agent

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"tapline/agent/identity"
	"tapline/installer/osservice"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// EnrolOptions tune an enrolment. The zero value is usable.
type EnrolOptions struct {
	Build string
	// Replace goes over an identity that is there.
	Replace bool
	Log     *zap.Logger
}

// Enrolled is what an enrolment made.
type Enrolled struct {
	Station  record.StationID
	NotAfter time.Time // of the certificate
	Keys     string    // where the private keys are, in words
}

// Enrol makes this machine a station. It may be repeated after any failure with the same token. Errors have an exit code and a hint.
func Enrol(ctx context.Context, cfg Config, token wire.Token, o EnrolOptions) (Enrolled, error) {
	if err := osservice.SecureFolder(cfg.StateDir); err != nil {
		return Enrolled{}, osservice.Fault(osservice.NotPermitted, err, "run it as root, or as the account that the agent runs under")
	}
	keys, err := OpenKeys(cfg)
	if err != nil {
		return Enrolled{}, err
	}
	m, err := identity.Enrol(ctx, identityDir(cfg.StateDir), keys, token, identity.Options{
		Replace: o.Replace, Hints: hints(), Build: o.Build, Log: o.Log,
	})
	if err != nil {
		return Enrolled{}, enrolFault(err)
	}
	id := m.Current()
	return Enrolled{Station: id.Station, NotAfter: id.NotAfter, Keys: keys.Where()}, nil
}

// enrolFault chooses the exit code and the hint from the kind of the error.
func enrolFault(err error) error {
	switch kind := wire.KindOf(err); {
	case errors.Is(err, wire.ErrWrongRoot):
		return osservice.Fault(osservice.Refused, err, "the broker at this address is not the one that made the token: check the address, or make a new token at the right broker")
	case errors.Is(err, identity.ErrEnrolled):
		return osservice.Fault(osservice.AlreadyInstalled, err, "nothing to do; to begin anew, add --replace")
	case kind == wire.Unauthenticated:
		return osservice.Fault(osservice.Refused, err, "a token serves once, for one station, for a limited time: make a new one with \"tapctl token create STATION\"")
	case kind == wire.Unavailable, kind == wire.Deadline:
		return osservice.Fault(osservice.Unavailable, err, "see that the broker runs and can be reached from here, then repeat with the same token")
	case kind == wire.Internal, kind == wire.None, kind == wire.Cancelled:
		return err
	}
	return osservice.Fault(osservice.Refused, err, "ask an administrator of the broker: \"tapctl station get STATION\" shows how it sees this station")
}

// hints tell the administrator which machine asks. They are never trusted.
func hints() map[string]string {
	h := map[string]string{"os": runtime.GOOS + "/" + runtime.GOARCH}
	if name, err := os.Hostname(); err == nil {
		h["host"] = name
	}
	if b, err := os.ReadFile("/etc/machine-id"); err == nil {
		h["machine-id"] = strings.TrimSpace(string(b))
	}
	return h
}

// EnrolHandover enrols with the token that an installer left in the state folder, if there is one and the station is not enrolled yet, and
// destroys the token once it was used or refused. As long as the broker cannot be reached it tries again, until ctx ends.
func EnrolHandover(ctx context.Context, cfg Config, build string, log *zap.Logger) error {
	left, ok, err := osservice.TakeHandover(cfg.StateDir)
	if err != nil {
		return osservice.Fault(osservice.Config, err, "remove the file and enrol with \"tapagent enrol\"")
	}
	if !ok {
		return nil
	}
	token, err := wire.ParseToken(string(left.Token))
	if err != nil {
		return errors.Join(osservice.Fault(osservice.Refused, err, "make a new token and enrol with \"tapagent enrol\""), osservice.DestroyHandover(cfg.StateDir))
	}
	token.Brokers = append([]string{left.Broker}, token.Brokers...)
	osservice.Ready(ctx) // waiting for the broker is no failure to start
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = time.Second, time.Minute
	for {
		_, err := Enrol(ctx, cfg, token, EnrolOptions{Build: build, Log: log})
		switch {
		case err == nil, errors.Is(err, identity.ErrEnrolled):
			log.Info("enrolled with the token that the installer left", zap.String("station", token.Station))
			return osservice.DestroyHandover(cfg.StateDir)
		case osservice.CodeOf(err) == osservice.Refused:
			return errors.Join(err, osservice.DestroyHandover(cfg.StateDir))
		case osservice.CodeOf(err) != osservice.Unavailable:
			return err
		}
		wait := pause.NextBackOff()
		log.Warn("not enrolled yet", zap.Duration("again_in", wait), zap.Error(err))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}
