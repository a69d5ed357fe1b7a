// Command tapcard lays a virtual badge on a virtual PC/SC reader, by hand: the demo's --keep mode is driven with it.
//
// It is a tool for demos and tests, and is not part of what is installed on a station. It never talks to PC/SC: the PC/SC service sees
// the card, just as it would see a real one.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tapcard:", err)
		os.Exit(1)
	}
}
