package agent

import (
	"time"

	"tapline/proto/record"
)

// setHeartbeat changes the time between two heartbeats, counted from now.
func (l *loop) setHeartbeat(every time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.every = every
	select {
	case l.retimed <- struct{}{}:
	default:
	}
}

func (l *loop) heartbeat() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.every
}

// beat says that the station lives, and whether somebody is there.
func (l *loop) beat() {
	state := "idle"
	switch {
	case l.state.Emergency().ID != "":
		state = "emergency"
	case l.state.Session() != "" && l.durable:
		state = "named"
	case l.state.Session() != "", l.state.Unattributed() != "":
		state = "unattributed"
	}
	l.write(record.Payload{Type: record.StationHeartbeat, Mode: l.mode(), Beat: &record.Beat{
		Interval: int64(l.heartbeat().Seconds()), Acked: l.cfg.Acked(), Uptime: int64(time.Since(l.started).Seconds()), State: state,
	}})
}
