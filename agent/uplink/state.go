package uplink

import (
	"time"

	"tapline/proto/record"
)

// Alarm is a thing about records that somebody must look into. The line goes on; nothing is trimmed.
type Alarm string

// The alarms.
const (
	NoAlarm Alarm = ""
	// ReceiptForged: a receipt that the evidence key did not sign, or of another station or chain.
	ReceiptForged Alarm = "receipt-forged"
	// ReceiptForks: the broker holds another record than ours at the same place.
	ReceiptForks Alarm = "receipt-forks"
	// BrokerAhead: the broker holds records that our journal has not: this disk went back in time, or another machine writes our chain.
	BrokerAhead Alarm = "broker-ahead"
	// BrokerBehind: the broker no longer holds records that it gave a receipt for. Those that the journal still has are sent again.
	BrokerBehind Alarm = "broker-behind"
	// RecordsRefused: the broker says that our records do not verify, or fork.
	RecordsRefused Alarm = "records-refused"
	// JournalUnreadable: the journal cannot give its own records.
	JournalUnreadable Alarm = "journal-unreadable"
)

// State is how the line is.
type State struct {
	Connected bool
	Broker    string    // of the line, or of the last attempt
	Since     time.Time // of Connected
	Reason    string    // why there is no line; empty when there is
	Alarm     Alarm
	AlarmText string
	Acked     record.Seq // newest record under a good receipt
	Closes    int        // sessions whose end the broker has not confirmed
}

// change applies f to the state and tells it if it changed.
func (u *Uplink) change(f func(*State)) {
	u.telling.Lock()
	defer u.telling.Unlock()
	u.mu.Lock()
	before := u.state
	f(&u.state)
	if u.state.Connected != before.Connected {
		u.state.Since = time.Now()
	}
	after := u.state
	u.mu.Unlock()
	if after != before {
		u.cfg.OnState(after)
	}
}

// State is how the line is now.
func (u *Uplink) State() State {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state
}
