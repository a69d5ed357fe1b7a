// Command lint runs every linter that Tapline uses over the packages named on its command line, in one process.
//
// scripts/test calls it from the root of the module as "lint ./...". The linters are listed one by one in list.go, each with the
// reason it earns its time; there is no configuration file and no default set that grows by itself. Generated code is left out.
// A finding can be silenced only where it stands, and only with a reason: "//lint:ignore CHECK why it is fine here".
// It never changes a file.
package main

import (
	"os"

	"honnef.co/go/tools/lintcmd"
)

func main() {
	command := lintcmd.NewCommand("lint")
	command.ParseFlags(os.Args[1:])
	for _, one := range linters() {
		leaveOut(one.Analyzer)
		command.AddAnalyzers(one)
	}
	os.Exit(command.Execute())
}
