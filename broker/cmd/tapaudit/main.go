// Command tapaudit is the auditor's tool: it checks evidence that others kept, shows what it says, and trusts nobody but the key it is given.
//
// It works offline on folders: an export of the broker or the journal of a station. It never writes to them, opens no network connection, and
// uses nothing of Tapline but the formats of records and of the log, whose specifications (SPEC.md in proto/record and proto/checkpoint) are enough to
// write another one. Only its witness listens, for brokers that want their log cosigned. Its exit status is 0 for good evidence, 1 for bad evidence
// and 2 when it could not do what it was asked.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
