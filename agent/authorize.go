package agent

import (
	"context"
	"slices"

	"tapline/agent/session"
	"tapline/agent/signin"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// SignIn is how the operating system's sign-in is answered.
type SignIn struct {
	// Accounts are those of the operating system that this station guards. Empty is all but root.
	Accounts []string `yaml:"accounts"`
}

// guards reports whether sign-ins of an account need somebody who has tapped. Root never does: a technician must get in.
func (s SignIn) guards(account string) bool {
	return account != "root" && (len(s.Accounts) == 0 || slices.Contains(s.Accounts, account))
}

// authorize is the one decision about sign-ins, whoever asks: the PAM module or the local API. In modes that do not lock nobody is refused.
func (a *Agent) authorize(ctx context.Context, account string) (signin.Verdict, session.Presence) {
	cfg := a.settings()
	if mode := record.Mode(cfg.Mode); mode != record.ModeLock && mode != record.ModeSignIn {
		return signin.Unavailable, session.Presence{}
	}
	if !cfg.SignIn.guards(account) {
		return signin.Ignore, session.Presence{}
	}
	if !a.open.Load() { // as it was shown last: a loop that waits for a disk keeps nobody waiting
		return signin.Refused, session.Presence{}
	}
	var who session.Presence
	if err := a.loop.look(ctx, func(s session.State) { who = s.Presence() }); err != nil {
		return signin.Allowed, session.Presence{} // somebody is there; who, is not known in time
	}
	return signin.Allowed, who
}

// Authorize answers a program of the station that signs people in.
func (a *Agent) Authorize(ctx context.Context, account string) (*taplinev1.AuthorizeResponse, error) {
	verdict, who := a.authorize(ctx, account)
	switch verdict {
	case signin.Ignore:
		return nil, wire.E(wire.NotFound, "account: this station does not guard it (signin.accounts)")
	case signin.Unavailable:
		return nil, wire.E(wire.Unavailable, "this station guards no sign-ins in its mode: go on with the password")
	}
	return &taplinev1.AuthorizeResponse{Allowed: verdict == signin.Allowed, Person: toPerson(who.Person), Session: string(who.Session)}, nil
}
