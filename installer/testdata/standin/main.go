// Standin takes the place of tapagent and of tapbroker in the tests of the packages: the same command line, the same
// osservice calls and nothing behind them. What it does, it notes in the file "life" in its folder.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tapline/installer/osservice"
)

// version is set by the linker.
var version = "0"

func main() {
	os.Exit(int(osservice.Execute(context.Background(), root())))
}

func root() *cobra.Command {
	name := "tapline-agent"
	if filepath.Base(os.Args[0]) == "tapbroker" {
		name = "tapline-broker"
	}
	spec := osservice.Spec{Name: name, DisplayName: "Tapline stand-in", ManualReady: true}
	spec.Reload = func(context.Context) error { return note(spec, "reloaded") }
	run := func(ctx context.Context) error { return live(ctx, spec) }
	foreground := func(*cobra.Command, []string) error { return osservice.Run(spec, run) }
	r := &cobra.Command{Use: "standin"}
	r.PersistentFlags().String("config", "", "configuration file, not read")
	r.AddCommand(
		&cobra.Command{Use: "run", Aliases: []string{"serve"}, Args: cobra.NoArgs, RunE: foreground},
		&cobra.Command{Use: "reload", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return note(spec, "reloaded") }},
		osservice.Commands(spec, run),
		osservice.ConfigureCommand(spec),
	)
	return r
}

func live(ctx context.Context, spec osservice.Spec) error {
	dir, err := osservice.Folder(spec)
	if err != nil {
		return err
	}
	h, there, err := osservice.TakeHandover(dir)
	if err != nil {
		return err
	}
	if there {
		if err := note(spec, "enrolled with "+h.Broker); err != nil {
			return err
		}
		if err := osservice.DestroyHandover(dir); err != nil {
			return err
		}
	}
	if err := note(spec, "started "+version); err != nil {
		return err
	}
	osservice.Ready(ctx)
	<-ctx.Done()
	return note(spec, "stopped "+version)
}

func note(spec osservice.Spec, what string) error {
	dir, err := osservice.Folder(spec)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "life"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = fmt.Fprintln(f, what)
	return err
}
