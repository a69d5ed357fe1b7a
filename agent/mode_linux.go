package agent

import (
	"tapline/agent/station"
	"tapline/proto/record"
)

// drivers are what enforces on this operating system.
func (a *Agent) drivers() []station.Driver {
	return []station.Driver{a.helpers, station.Missing(record.ModeLock), station.Missing(record.ModeSignIn)}
}
