package panel

import (
	"bytes"
	"fmt"
	"net/http"
	"time"
)

const (
	beatEvery   = 5 * time.Second  // a page that hears nothing for twice this long, and a bit, says so
	retryAfter  = time.Second      // a page whose stream broke comes back then
	writeWithin = 10 * time.Second // a browser that takes nothing is let go
)

// events is the stream of server-sent events (WHATWG HTML, section 9.2) that a page listens to: "hello" with the run, "show" with each state, "beat" in
// between. Each show holds the whole state, so that a page that missed some has missed nothing.
func (w *Web) events(out http.ResponseWriter, r *http.Request, run string) {
	v, ok := w.join()
	if !ok {
		http.Error(out, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer w.leave(v)
	w.look()
	control := http.NewResponseController(out)
	_ = control.SetReadDeadline(time.Time{}) // the request has been read; the stream has no end
	h := out.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	send := func(event string, data []byte) error {
		_ = control.SetWriteDeadline(time.Now().Add(writeWithin))
		if _, err := fmt.Fprintf(out, "event: %s\ndata: %s\n\n", event, data); err != nil {
			return err
		}
		return control.Flush()
	}
	if _, err := fmt.Fprintf(out, "retry: %d\n", retryAfter.Milliseconds()); err != nil {
		return
	}
	if send("hello", fmt.Appendf(nil, `{"run":%q,"now":%d}`, run, time.Now().UnixMilli())) != nil {
		return
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	var last []byte
	for {
		seen, known := w.view()
		if now, err := w.message(seen); err == nil && known && !bytes.Equal(now, last) {
			if send("show", now) != nil {
				return
			}
			last = now
		}
		select {
		case <-r.Context().Done():
			return
		case <-v.wake:
		case now := <-beat.C:
			if send("beat", fmt.Appendf(nil, `{"now":%d}`, now.UnixMilli())) != nil {
				return
			}
		}
	}
}
