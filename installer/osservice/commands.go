package osservice

import (
	"fmt"

	"github.com/spf13/cobra"
)

// Commands is the "service" branch that a main hangs under its root command: install, uninstall, start, stop, restart,
// status and run. run is the same function that the main's foreground command hands to [Run]; it is called with flags
// parsed, so a persistent --config of the root applies to "service run" as well.
func Commands(spec Spec, run Func) *cobra.Command {
	branch := &cobra.Command{
		Use:   "service",
		Short: "Install, start, stop or ask for the " + spec.displayName() + " service",
		Long: `Talks to the service manager of this machine: systemd on Linux, the Service
Control Manager on Windows. Everything but "status" needs an administrator.

Machines that got Tapline from a package (.deb, .rpm, MSI) have the service
already: "install" then refuses, and the package removes it.`,
		Example: "  sudo " + programOf(spec) + " service install\n  sudo " + programOf(spec) + " service start\n  " +
			programOf(spec) + " service status",
		Args: cobra.NoArgs,
	}
	branch.AddCommand(
		verb("install", "Make the service known, to be started at every boot", "installed", spec, Install),
		verb("uninstall", "Stop the service and make it unknown; its data stays", "uninstalled", spec, Uninstall),
		verb("start", "Start the service and wait until it is ready", "started", spec, Start),
		verb("stop", "Stop the service and wait until it has ended", "stopped", spec, Stop),
		verb("restart", "Stop the service if it runs, then start it", "restarted", spec, Restart),
		statusCommand(spec),
		&cobra.Command{
			Use:   "run",
			Short: "Run as the service manager does (not for people)",
			Long: `The service manager starts the program by this verb. In a terminal use the
foreground command instead.`,
			Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return RunManaged(spec, run) },
		},
	)
	return branch
}

func verb(name, short, done string, spec Spec, do func(Spec) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := do(spec); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "service %s %s\n", spec.Name, done)
			return err
		},
	}
}

func statusCommand(spec Spec) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Print what the service manager knows of the service",
		Long: fmt.Sprintf(`Prints one of: running, starting, stopping, stopped, failed, not installed.
Ends with %d when running or starting, %d when installed but not running, and
%d when not installed.`, OK, NotRunning, NotInstalled),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			state, err := Status(spec)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(c.OutOrStdout(), state); err != nil {
				return err
			}
			return statusFault(spec, state)
		},
	}
}

// statusFault turns a state into the code that scripts ask for.
func statusFault(spec Spec, state State) error {
	switch state {
	case StateRunning, StateStarting:
		return nil
	case StateNotInstalled:
		return Fault(NotInstalled, fmt.Errorf("service %s is not installed", spec.Name), "\"service install\" installs it")
	case StateFailed:
		return Fault(NotRunning, fmt.Errorf("service %s has failed", spec.Name), logHint(spec))
	}
	return Fault(NotRunning, fmt.Errorf("service %s is %s", spec.Name, state), "\"service start\" starts it")
}

// programOf is the executable that goes with a service name: tapline-agent is tapagent.
func programOf(spec Spec) string {
	if len(spec.Name) > 8 && spec.Name[:8] == "tapline-" {
		return "tap" + spec.Name[8:]
	}
	return spec.Name
}
