// Tapagent is the program on a station: it enrols the station, runs it, and tells a technician how it is.
//
// It parses the command line and hands over to package agent; everything that it does beyond that is to print. It is started by the service manager
// or by a person in a terminal, never asks questions there, and never shows a token, a key or a badge number.
package main

import (
	"context"
	"os"

	"tapline/installer/osservice"
)

func main() { os.Exit(int(osservice.Execute(context.Background(), root()))) }
