// Exitcode runs a program and writes its exit code to a file: "exitcode FILE PROGRAM ARGUMENT...". Shells on Linux see
// only the lowest eight bits of a Windows exit code.
package main

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
)

func main() {
	code := 0
	if err := exec.Command(os.Args[2], os.Args[3:]...).Run(); err != nil {
		code = -1
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code = exit.ExitCode()
		}
	}
	if err := os.WriteFile(os.Args[1], []byte(strconv.Itoa(code)), 0o600); err != nil {
		os.Exit(1)
	}
}
