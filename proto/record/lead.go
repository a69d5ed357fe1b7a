package record

// begins takes the first record of a trimmed chain, and reports whether it is one that only the latest receipt binds.
func (cv *ChainVerifier) begins(seq Seq) bool {
	cv.trimmed = false
	r := cv.acked
	switch {
	case seq <= 1 || r.Seq == 0 || seq > r.Seq+1:
		return false // as any other chain
	case seq == r.Seq+1:
		cv.resume()
		return false
	}
	cv.lead = true
	cv.head.Seq = seq - 1
	cv.sessions.lose()
	return true
}

// resume puts the chain where the latest receipt says that it was.
func (cv *ChainVerifier) resume() {
	boot, mono := cv.head.Boot, cv.head.Monotonic
	cv.head = cv.acked.Resume()
	cv.head.Boot, cv.head.Monotonic = boot, mono
	cv.keys[cv.head.EpochKey.ID()] = cv.head.EpochKey
	if !cv.lead {
		cv.sessions.lose()
	}
	cv.lead = false
}

// follow checks a record that only the latest receipt binds: each must be the next, and the last the one that the receipt acknowledges.
func (cv *ChainVerifier) follow(e Entry) *Fault {
	h, p := cv.head, e.Payload
	h.Epoch = p.Epoch
	if h.Hash.IsZero() {
		h.Hash = p.Prev
	}
	if f := h.checkPlace(p); f != nil {
		return f
	}
	if kind, detail := cv.sessions.follow(p); kind != "" {
		return h.fault(kind, "%s", detail)
	}
	if f := cv.checkMarks(e.Envelope); f != nil {
		return f
	}
	cv.head = h.after(e.Envelope, p)
	if p.Seq == cv.acked.Seq {
		cv.resume()
	}
	return nil
}
