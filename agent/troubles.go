package agent

import (
	"slices"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
	"google.golang.org/protobuf/types/known/timestamppb"

	taplinev1 "tapline/proto/tapline/v1"
)

// keepTroubles is how many of the last warnings and errors the status screen has.
const keepTroubles = 20

// troubles keeps the last warnings and errors of the log for the status screen. What happens again and again is one of them, with a count.
type troubles struct {
	mu   sync.Mutex // guards last
	last []trouble
}

type trouble struct {
	part, message string             // what makes two of them the same
	is            *taplinev1.Trouble // never changed once it is here
}

// watch puts itself between the logger and its core.
func (t *troubles) watch(core zapcore.Core) zapcore.Core { return &troubleCore{Core: core, to: t} }

// add takes in what the log says: message is the same whenever the same thing happens, what has its details.
func (t *troubles) add(at time.Time, part, message, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if part == "" {
		part = "station"
	}
	now := timestamppb.New(at)
	one := trouble{part, message, &taplinev1.Trouble{At: now, FirstAt: now, Count: 1, Part: part, What: what, Hint: troubleHint(part)}}
	if i := slices.IndexFunc(t.last, func(o trouble) bool { return o.part == part && o.message == message }); i >= 0 {
		one.is.FirstAt, one.is.Count = t.last[i].is.GetFirstAt(), t.last[i].is.GetCount()+1
		t.last = slices.Delete(t.last, i, i+1)
	}
	t.last = append(t.last, one)
	if len(t.last) > keepTroubles {
		t.last = slices.Delete(t.last, 0, 1)
	}
}

// newestFirst is the list as the status screen wants it.
func (t *troubles) newestFirst() []*taplinev1.Trouble {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []*taplinev1.Trouble
	for _, one := range slices.Backward(t.last) {
		list = append(list, one.is)
	}
	return list
}

// troubleHint says what to do, by the part of the agent that has trouble.
func troubleHint(part string) string {
	return map[string]string{
		"uplink":   "see that the broker runs and that the network lets this machine reach it",
		"journal":  "see that the disk has space and is not read-only",
		"identity": "ask an administrator of the broker about this station",
		"pcsc":     "see that the smart card service runs and the reader is plugged in",
		"bundle":   "it comes again from the broker",
	}[part]
}

// troubleCore is a log core that also keeps warnings and errors.
type troubleCore struct {
	zapcore.Core
	to *troubles
}

func (c *troubleCore) With(fields []zapcore.Field) zapcore.Core {
	return &troubleCore{Core: c.Core.With(fields), to: c.to}
}

func (c *troubleCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Level >= zapcore.WarnLevel {
		return ce.AddCore(e, c)
	}
	return c.Core.Check(e, ce)
}

func (c *troubleCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	what := e.Message
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			what += ": " + err.Error()
		}
	}
	c.to.add(e.Time, e.LoggerName, e.Message, what)
	if !c.Enabled(e.Level) {
		return nil
	}
	return c.Core.Write(e, fields)
}
