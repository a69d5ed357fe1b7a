package session

import (
	"tapline/proto/record"
	"tapline/reader"
)

// RemovedReason is why a reader is away that somebody took out of the configuration.
const RemovedReason record.Reason = "removed"

// Removed says that somebody took a reader out of the configuration. That ends no session, even one whose badge lies on it: a technician's work must
// not sign people out.
type Removed struct{ Reader reader.Name }

func (e Removed) apply(s *step) {
	s.do(Record{Payload: record.Payload{Type: record.ReaderDetached, Reader: string(e.Reader), Reason: RemovedReason, Mode: s.mode()}})
	s.do(Tell{Notice{Kind: ReaderChanged, Reader: e.Reader, Reason: RemovedReason}})
}
