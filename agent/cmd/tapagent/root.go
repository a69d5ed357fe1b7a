package main

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"tapline/agent"
	"tapline/installer/osservice"
)

// version is set by the linker.
var version = ""

// build is the version, or what Go knows of the commit.
func build() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}

// cli is what all commands share.
type cli struct {
	config  string
	machine *agent.Machine // hears the service manager
}

func root() *cobra.Command {
	c := &cli{machine: agent.NewMachine()}
	r := &cobra.Command{
		Use:   "tapagent",
		Short: "Name the person at a shared station",
		Long: `Tapagent runs on a station: it reads the badges that people tap, asks the broker
(or, when the broker is away, the grants it left) who may have the station, and
writes a signed record of every session.

A new station:
  1. at the broker:  tapctl station put SITE/AREA/LINE/STATION --account ACCOUNT
                     tapctl token create SITE/AREA/LINE/STATION
  2. at the station: tapagent enrol --token-file token.txt
                     tapagent check
                     tapagent run          (or: tapagent service install, start)`,
		Example: "  tapagent status\n  tapagent check\n  tapagent run --config /etc/tapline/agent.yaml",
	}
	r.PersistentFlags().StringVar(&c.config, "config", "", "configuration file (default: where packages put it)")
	spec := agent.Spec()
	spec.Reload, spec.OnEvent = c.reload, c.machine.Hear
	run := func(ctx context.Context) error { return c.run(ctx) }
	r.AddCommand(
		c.runCommand(spec, run), c.enrolCommand(), c.statusCommand(), c.supportCommand(), c.checkCommand(), c.endCommand(), c.pinCommand(), c.reloadCommand(), c.secretCommand(), c.badgeCommand(),
		c.emergencyCommand(), c.gateCommand(), c.signCommand(), c.tokenCommand(), versionCommand(),
		osservice.Commands(spec, run), osservice.ConfigureCommand(spec),
	)
	return r
}

// load reads the configuration.
func (c *cli) load() (agent.Config, error) {
	cfg, err := agent.LoadConfig(c.config)
	return cfg, osservice.Fault(osservice.Config, err, `correct what is named; the rest is looked at after that, by "tapagent check". An empty file is a good one`)
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "tapagent", build())
			return err
		},
	}
}
