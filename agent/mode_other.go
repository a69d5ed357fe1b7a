//go:build !linux

package agent

import (
	"tapline/agent/station"
	"tapline/proto/record"
)

// drivers are what enforces on this operating system: nothing yet.
func (a *Agent) drivers() []station.Driver {
	return []station.Driver{station.Missing(record.ModeGate), station.Missing(record.ModeLock), station.Missing(record.ModeSignIn)}
}
