package ledger

// InLine returns how many calls wait behind the one that is being written.
func InLine(l *Ledger) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}
