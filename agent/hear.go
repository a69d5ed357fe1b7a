package agent

import (
	"context"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"tapline/agent/session"
	"tapline/proto/grant"
	"tapline/proto/record"
	"tapline/reader"
)

// hear turns what a reader says into an event of the session. It is called by the reader's source, and waits while the loop is busy.
func (l *loop) hear(ctx context.Context, e reader.Event, presence bool) {
	in := input{}
	switch e.Kind {
	case reader.Tapped:
		in.event = session.Tapped{Tap: session.Tap{
			Session: newSession(), Spare: newSession(), Reader: e.Reader, Number: e.Badge.Number, At: e.At, Presence: presence,
			Badge: session.Badge{
				Ref: grant.Ref(l.cfg.Badges(), e.Badge.Number.Canonical()), Technology: string(e.Badge.Technology), Assurance: uint8(e.Badge.Assurance),
			},
		}}
		in.read = readTiming{at: e.At, took: time.Since(e.At)}
	case reader.Left:
		in.event = session.Left{Reader: e.Reader}
	case reader.Unreadable:
		in.event = session.Unreadable{Reader: e.Reader, Reason: e.Reason}
	case reader.Attached:
		in.event = session.Attached{Reader: e.Reader}
	case reader.Detached:
		in.event = session.Detached{Reader: e.Reader, Reason: e.Reason}
	default:
		return
	}
	if err := l.post(ctx, in); err != nil {
		l.log.Warn("reader event dropped", zap.String("reader", string(e.Reader)), zap.Error(err))
	}
}

// newSession is a UUIDv7: its order is that of the taps.
func newSession() record.SessionID {
	id, err := uuid.NewV7()
	if err != nil { // no randomness: the kernel's own, so it does not happen
		id = uuid.New()
	}
	return record.SessionID(id.String())
}
