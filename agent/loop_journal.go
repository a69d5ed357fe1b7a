package agent

import (
	"context"

	"tapline/agent/session"
	"tapline/proto/record"
	"tapline/proto/record/coverage"
)

// tellJournal tells the person at the station when the journal ceases to take records, for another reason, or takes them again. Where the disk is only slow, of
// which the journal itself knows nothing, it has records say from when to when: what was shown meanwhile counts as unattributed.
func (l *loop) tellJournal() {
	fault := record.Reason(l.cfg.Fault())
	if fault == "" && l.stalled {
		fault = session.JournalSlow
	}
	if slow := fault == session.JournalSlow; slow != l.slow {
		l.slow = slow
		l.noteSlow(slow)
	}
	if fault == l.fault {
		return
	}
	l.fault = fault
	notice := &session.Notice{Kind: session.JournalChanged, Reason: fault}
	l.show(l.state.Presence(), notice)
}

// noteSlow lines a record up and does not wait for it: it is durable as soon as what is before it is.
func (l *loop) noteSlow(slow bool) {
	p := record.Payload{Type: record.JournalRecovered, Mode: l.mode(), Journal: &record.Journal{Fault: coverage.SlowDisk}}
	if slow {
		p.Type = record.JournalDegraded
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _ = l.cfg.Journal.Write(ctx, p)
}
