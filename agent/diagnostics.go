package agent

import (
	"bytes"
	"runtime/pprof"

	taplinev1 "tapline/proto/tapline/v1"
)

// Diagnostics is what a technician sends to those who help. The profile of goroutines names functions and lines, and no values.
func (a *Agent) Diagnostics() (*taplinev1.GetDiagnosticsResponse, error) {
	var routines bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&routines, 1); err != nil {
		return nil, err
	}
	text, err := a.metrics.text()
	if err != nil {
		return nil, err
	}
	return &taplinev1.GetDiagnosticsResponse{Log: a.ring.last(), Goroutines: routines.String(), Metrics: text}, nil
}
