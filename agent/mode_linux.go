package agent

import (
	"context"
	"path/filepath"

	"tapline/agent/signin"
	"tapline/agent/station"
)

// drivers are what enforces on this operating system.
func (a *Agent) drivers() []station.Driver {
	lock := &station.Lock{User: func() string { return a.settings().Lock.User }, Helpers: a.helpers}
	return []station.Driver{a.helpers, lock, station.PAM{Folder: pamFolder}}
}

// pamFolder is where the system says which of its programs ask whom.
const pamFolder = "/etc/pam.d"

// runSignIn answers the PAM module until ctx ends, beside the socket of the local API.
func (a *Agent) runSignIn(ctx context.Context) error {
	door := signin.Door{
		Socket: filepath.Join(filepath.Dir(a.cfg.Socket), "pam.sock"), Log: a.log.Named("signin"),
		Decide: func(ctx context.Context, account string) signin.Verdict { v, _ := a.authorize(ctx, account); return v },
	}
	return door.Run(ctx)
}
