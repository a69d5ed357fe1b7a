package agent

import (
	"bytes"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The last lines of the log that a support bundle has: so many, and of so many bytes in all.
const (
	keepLines = 500
	keepBytes = 256 << 10
)

// logRing keeps the last lines of the log, as JSON. Like the log it never sees a badge number or a secret.
type logRing struct {
	mu    sync.Mutex // guards the fields below
	lines [][]byte
	bytes int
}

// watch puts itself beside the logger's core, for what that logs.
func (r *logRing) watch(core zapcore.Core) zapcore.Core {
	form := zap.NewProductionEncoderConfig()
	form.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	return zapcore.NewTee(core, zapcore.NewCore(zapcore.NewJSONEncoder(form), zapcore.AddSync(r), zapcore.InfoLevel))
}

// Write takes one line.
func (r *logRing) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := bytes.Clone(bytes.TrimRight(b[:min(len(b), keepBytes/16)], "\n"))
	r.lines, r.bytes = append(r.lines, line), r.bytes+len(line)
	for len(r.lines) > keepLines || r.bytes > keepBytes {
		r.bytes -= len(r.lines[0])
		r.lines[0] = nil
		r.lines = r.lines[1:]
	}
	return len(b), nil
}

// last are the lines, oldest first.
func (r *logRing) last() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, line := range r.lines {
		all = append(all, string(bytes.ToValidUTF8(line, []byte("?"))))
	}
	return all
}
