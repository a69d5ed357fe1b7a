//go:build !linux

package agent

import (
	"context"

	"tapline/agent/station"
	"tapline/proto/record"
)

// drivers are what enforces on this operating system: nothing yet.
func (a *Agent) drivers() []station.Driver {
	return []station.Driver{station.Missing(record.ModeGate), station.Missing(record.ModeLock), station.Missing(record.ModeSignIn)}
}

// runSignIn has nobody to answer.
func (*Agent) runSignIn(context.Context) error { return nil }
