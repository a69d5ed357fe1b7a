// Command tapctl is the administrator's client of a broker: people, badges, stations, shared accounts, enrolment tokens, policy, and the
// questions an administrator asks of them.
//
// It talks to the broker over mutual TLS with an identity folder that `tapbroker serve` makes at its first start. Every
// answer comes as a table for people or with -o json for programs. It holds no state of its own and never talks to a station.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"tapline/installer/osservice"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		report(os.Stderr, err)
	}
	os.Exit(int(osservice.CodeOf(err)))
}

// report prints an error and, where there is one, the hint that says what to do next.
func report(w *os.File, err error) {
	fmt.Fprintf(w, "tapctl: %v\n", err)
	if hint := osservice.HintOf(err); hint != "" {
		fmt.Fprintf(w, "hint: %s\n", hint)
	}
}
