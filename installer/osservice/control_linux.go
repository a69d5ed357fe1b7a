package osservice

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/kardianos/service"
)

// unitTemplate is rendered by kardianos/service in its own small language. It is for machines without our package;
// the packages bring hardened units of their own (installer/linux).
const unitTemplate = `[Unit]
Description={{Description}}
{{range Dependencies}}{{.}}
{{end}}
[Service]
Type=notify
ExecStart={{Path | cmdEscape}}{{range Arguments}} {{. | cmd}}{{end}}
ExecReload=/bin/kill -HUP $MAINPID
{{if UserName}}User={{UserName}}
{{end}}Restart=on-failure
RestartSec=2
RestartPreventExitStatus=2 3
StateDirectory={{Name}}
StateDirectoryMode=0700
NoNewPrivileges=yes
ProtectSystem=full
PrivateTmp=yes
UMask=0077

[Install]
WantedBy=multi-user.target
`

func config(spec Spec) *service.Config {
	var dependencies []string
	for _, unit := range spec.Dependencies {
		dependencies = append(dependencies, "After="+unit, "Wants="+unit)
	}
	description := spec.Description
	if description == "" {
		description = spec.displayName()
	}
	return &service.Config{
		Name: spec.Name, DisplayName: spec.displayName(), Description: description,
		UserName: spec.User, Arguments: spec.arguments(), Dependencies: dependencies,
		Option: service.KeyValue{"SystemdScript": unitTemplate},
	}
}

// Status asks systemd. kardianos/service is not asked: it takes a unit that is reloading or stopping for one that is
// not installed, and a failed one for an error.
func Status(spec Spec) (State, error) {
	if err := needSystemd(); err != nil {
		return StateUnknown, err
	}
	out, err := exec.Command("systemctl", "show", "--property=LoadState,ActiveState", spec.Name+".service").Output()
	if err != nil {
		return StateUnknown, Fault(Failure, fmt.Errorf("ask systemd for %s: %w", spec.Name, err), logHint(spec))
	}
	return parseShow(string(out))
}

// parseShow reads the two lines that "systemctl show" prints (systemctl(1), "LoadState" and "ActiveState").
func parseShow(out string) (State, error) {
	values := map[string]string{}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[key] = value
	}
	if values["LoadState"] == "not-found" {
		return StateNotInstalled, nil
	}
	state, known := map[string]State{
		"active": StateRunning, "reloading": StateRunning, "inactive": StateStopped,
		"activating": StateStarting, "deactivating": StateStopping, "failed": StateFailed,
	}[values["ActiveState"]]
	if !known {
		return StateUnknown, fmt.Errorf("systemd answers with an unknown state: %q", oneLine(out))
	}
	return state, nil
}

// needSystemd keeps kardianos/service from falling back to System V scripts, which Tapline does not support.
func needSystemd() error {
	if service.Platform() == "linux-systemd" {
		return nil
	}
	return Fault(NoManager, errors.New("no systemd on this machine"),
		"run the program in the foreground by its \"run\" or \"serve\" command")
}

// ours tells a unit that Install wrote from one that a package owns.
func ours(spec Spec) error {
	if _, err := os.Stat("/etc/systemd/system/" + spec.Name + ".service"); err == nil {
		return nil
	}
	return Fault(Failure, fmt.Errorf("uninstall service %s: its unit belongs to a package", spec.Name),
		"remove the package instead, or \"systemctl disable --now "+spec.Name+"\"")
}

// Recover sets what the manager does when the service dies. On Linux the unit says so already: nothing to do.
func Recover(Spec) error { return nil }

// start and stop wait by themselves: systemctl does, and a Type=notify unit counts as started once it says so.
func start(_ Spec, s service.Service) error { return s.Start() }

func stop(_ Spec, s service.Service) error { return s.Stop() }

// deniedByManager: systemctl ends with the LSB code 4 when its caller may not do this.
func deniedByManager(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	return ok && (exit.ExitCode() == 4 || os.Geteuid() != 0)
}

func elevationHint() string { return "run it as root, for example by sudo" }

func logHint(spec Spec) string {
	return "\"journalctl -u " + spec.Name + " -n 50\" shows the service's last words"
}
