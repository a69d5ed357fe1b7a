package agent

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"tapline/agent/session"
	"tapline/proto/record"
	"tapline/reader"
)

// hungWriter keeps everybody waiting for as long as they will.
type hungWriter struct{}

func (hungWriter) Write(ctx context.Context, _ record.Payload) (record.Seq, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func TestAPressGoesBeforeEverythingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoop(loopConfig{
			Rules: session.DefaultRules(), Journal: hungWriter{}, Show: func(screen) {}, Heartbeat: time.Hour,
			Healthy: func() bool { return false }, Log: zap.NewNop(),
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		var running sync.WaitGroup
		running.Go(func() { ended <- l.run(ctx) })
		for range 30 { // a reader that flickers: each record of it hangs
			if err := l.post(ctx, input{event: session.Detached{Reader: "left", Reason: reader.ReaderGone}}); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			began := time.Now()
			now, err := l.press(ctx, session.EmergencyPressed{ID: newSession(), Reason: "alarm"})
			if took := time.Since(began); err != nil || now.Reason != "alarm" || took != 0 {
				t.Errorf("open in %+v, %v, after %s", now, err, took)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		running.Wait()
		if _, err := l.press(t.Context(), session.EmergencyPressed{ID: newSession()}); err == nil {
			t.Error("a station that has stopped was opened")
		}
	})
}

// Any program of the machine may press, and as often as it likes.
func TestPressesWithoutEndKeepNothingElseOut(t *testing.T) {
	const enough = 10_000
	var l *loop
	shown := 0
	press := func() {
		if shown++; shown < enough {
			l.urgent.begin()
			select {
			case l.urgent.presses <- input{event: session.EmergencyPressed{ID: newSession()}}:
			default:
				l.urgent.end()
			}
		}
	}
	l = newLoop(loopConfig{
		Rules: session.DefaultRules(), Journal: hungWriter{}, Show: func(screen) { press() }, Heartbeat: time.Hour,
		Healthy: func() bool { return false }, Log: zap.NewNop(),
	})
	ctx, stop := context.WithCancel(t.Context())
	if err := l.post(ctx, input{look: func(session.State) { stop() }, done: make(chan struct{})}); err != nil {
		t.Fatal(err)
	}
	press()
	if err := l.run(ctx); err != nil {
		t.Error(err)
	}
	if shown >= enough {
		t.Errorf("%d presses went before one call and the end", shown)
	}
}
