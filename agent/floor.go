package agent

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"tapline/agent/clock"
	"tapline/agent/statefile"
)

// floorEvery is how often the station notes that it is not earlier than now: what a power cut costs of it, if the clock is set back as well.
const floorEvery = 5 * time.Minute

func floorPath(state string) string { return filepath.Join(peopleDir(state), "clock.json") }

// raiseClock takes in how late it was at the end of the last run. Without the file the last record says so.
func (a *Agent) raiseClock() {
	b, err := os.ReadFile(floorPath(a.cfg.StateDir))
	if err != nil {
		return
	}
	var f clock.Floor
	if err := json.Unmarshal(b, &f); err != nil {
		a.log.Warn("the file that says how late it was cannot be read", zap.Error(err))
		return
	}
	a.clock.Raise(f)
}

// keepFloor notes how late it is, now and then and at the end, so that a machine that starts with its clock set back does not take old grants for new.
func (a *Agent) keepFloor(ctx context.Context) error {
	again := time.NewTicker(floorEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			a.writeFloor()
			return nil
		case <-again.C:
			a.writeFloor()
		}
	}
}

func (a *Agent) writeFloor() {
	f := a.clock.Floor()
	if f == (clock.Floor{}) {
		return
	}
	b, err := json.Marshal(f)
	if err == nil {
		err = statefile.Write(statefile.OS(), floorPath(a.cfg.StateDir), b)
	}
	if err != nil {
		a.log.Warn("how late it is cannot be noted", zap.Error(err))
	}
}
