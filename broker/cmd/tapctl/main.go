// Command tapctl is the administrator's client of a broker: people, badges, stations, shared accounts, enrolment tokens, policy, and the
// questions an administrator asks of them.
//
// It talks to the broker over mutual TLS with an identity folder that `tapbroker serve` makes at its first start. Every
// answer comes as a table for people or with -o json for programs. It holds no state of its own and never talks to a station.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"tapline/installer/osservice"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := osservice.Execute(ctx, root(os.Stdin, os.Stdout, os.Stderr))
	stop()
	os.Exit(int(code))
}
