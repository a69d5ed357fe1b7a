//go:build linux

// Command tapdemo shows Tapline's main job on one machine in about a minute: three people tap at a station through the real PC/SC service,
// the broker goes away and comes back, and the evidence is verified.
//
// scripts/demo builds everything and calls it. It runs the shipped programs in namespaces of its own, with a virtual reader, and writes only into
// the folder it names. Where a person sits at a machine with a reader of its own, it uses that one and asks for three badges.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"tapline/reader/vcard/vpcd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	own := ownReader(ctx)
	var code int
	var again bool
	var err error
	if own == "" {
		code, again, err = vpcd.Isolate(ctx)
	}
	if err == nil && !again {
		err = command(own).ExecuteContext(ctx)
	}
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		code = 1
	}
	os.Exit(code)
}

// command is the demo; own is the machine's own reader, empty for a virtual one.
func command(own string) *cobra.Command {
	d := demo{own: own}
	c := &cobra.Command{
		Use:           "demo",
		Short:         "Show operators tapping in, handing over and leaving, and verify the evidence",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find own programs: %w", err)
			}
			d.bin, d.out = filepath.Dir(self), c.OutOrStdout()
			return d.run(c.Context())
		},
	}
	c.Flags().BoolVar(&d.keep, "keep", false, "leave everything running at the end, and say how to tap by hand")
	c.Flags().StringVar(&d.dir, "dir", "", "folder to work in, new or empty (default: a new one among the temporary files)")
	return c
}
