package audit

import "sync"

// Feed tells watchers that records were stored. Its zero value is ready.
type Feed struct {
	mu   sync.Mutex // guards news
	news chan struct{}
}

// Wait gives a channel that is closed when the next records are stored.
func (f *Feed) Wait() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.news == nil {
		f.news = make(chan struct{})
	}
	return f.news
}

// Stored wakes everybody who waits.
func (f *Feed) Stored() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.news != nil {
		close(f.news)
		f.news = nil
	}
}
