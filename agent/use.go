package agent

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"runtime"
	"strings"
	"time"

	"tapline/agent/logons"
	"tapline/agent/session"
	"tapline/installer/osservice"
)

// UnattributedConfig says what counts as use of the station that no tap explains.
type UnattributedConfig struct {
	// Logons watches logons and unlocks.
	Logons bool `yaml:"logons"`
	// Accounts are the accounts of the operating system that are watched; none is all that are people's.
	Accounts []string `yaml:"accounts"`
	// InputQuiet is how long after the last input a station where nobody is counts as used, in mode attribute; 0 counts no input.
	InputQuiet time.Duration `yaml:"input_quiet"`
	// Longest is for how long a logon or an unlock counts without a new sign; 0 is until the logoff.
	Longest time.Duration `yaml:"longest"`
}

// watchLogons hands to the loop what the operating system tells of the machine's use, until ctx ends.
func (a *Agent) watchLogons(ctx context.Context) error {
	if !a.cfg.Unattributed.Logons {
		return nil
	}
	emit := func(e session.Event) {
		_ = a.loop.post(ctx, input{event: e}) // a station that stops records no more use
	}
	cfg := logons.Config{Accounts: a.cfg.Unattributed.Accounts, Emit: emit, Log: a.log.Named("logons")}
	if m := a.opts.Machine; m != nil {
		cfg.Events, cfg.Lost = m.sessions, m.takeLost
	}
	return logons.Run(ctx, cfg)
}

// logonsHint says what to do where nothing tells of logons.
func logonsHint() string {
	if runtime.GOOS == "windows" {
		return "start the service TermService (Remote Desktop Services), or set unattributed.logons to false"
	}
	return "install and start systemd-logind (or dbus), or set unattributed.logons to false"
}

// checkLogons looks whether logons can be seen, and whether the accounts are there.
func checkLogons(ctx context.Context, cfg Config) Finding {
	f := Finding{What: "logons"}
	if !cfg.Unattributed.Logons {
		f.Good = "not watched (unattributed.logons)"
		return f
	}
	told, err := logons.Sources(ctx)
	if err != nil {
		err = osservice.Fault(osservice.Config, err, logonsHint())
	}
	f.Good, f.Err = "told by "+told, err
	var missing []string
	for _, name := range cfg.Unattributed.Accounts {
		if _, err := user.Lookup(name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		f.Err = errors.Join(f.Err, osservice.Fault(osservice.Config, fmt.Errorf("no account %s on this machine", strings.Join(missing, ", ")), "correct unattributed.accounts"))
	}
	return f
}
