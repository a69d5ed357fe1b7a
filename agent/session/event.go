package session

import (
	"time"

	"tapline/proto/record"
	"tapline/reader"
)

// Event is something that happened. The types below are all there are.
type Event interface{ apply(*step) }

type (
	// Tapped: a badge was presented and read.
	Tapped struct{ Tap Tap }
	// Left: the badge of the last tap at the reader is gone.
	Left struct{ Reader reader.Name }
	// Unreadable: something was presented that gave no number.
	Unreadable struct {
		Reader reader.Name
		Reason reader.Reason
	}
	// Attached: a reader works.
	Attached struct{ Reader reader.Name }
	// Detached: a reader went away.
	Detached struct {
		Reader reader.Name
		Reason reader.Reason
	}
	// Decided: the answer to a Decide effect.
	Decided struct{ Answer Answer }
	// Input: somebody used the station.
	Input struct{}
	// EndAsked: the person there wants to end the session, or to call off the tap that waits under that name; another session's name is ignored, so that a
	// late click ends nobody else's.
	EndAsked struct{ Session record.SessionID }
	// Revoked: the broker ends the session.
	Revoked struct {
		Session record.SessionID
		Cause   record.Reason
	}
	// Extended: the answer to an Extend effect. Reached is false when the broker could not be asked.
	Extended struct {
		Session   record.SessionID
		Reached   bool
		Allowed   bool
		Refusal   record.Reason
		ExpiresAt time.Time
	}
	// Found: the agent's last run left a session open; Begun is the record that began it.
	Found struct{ Begun record.Payload }
	// Tick: time has passed, up to a Deadline or not.
	Tick struct{}
	// Shutdown: the agent stops in order. Whatever comes after it changes nothing.
	Shutdown struct{}
)

// Effect is something to be done, in order.
type Effect interface{ effect() }

type (
	// Decide asks whether the tap may have the station, by a Decided event. From is the session in force. PIN and Second are what the tap has been given
	// since it came: it is then asked about again, under another session to be.
	Decide struct {
		Tap    Tap
		From   record.SessionID
		PIN    PIN
		Second *Tap // another person's badge; nil for none
		// NameOnly asks whose badge it is, and nothing else: no session begins.
		NameOnly bool
	}
	// Record writes a record and waits until it is durable. Tap names the tap that it answers, by its session to be; empty for none.
	Record struct {
		Payload record.Payload
		Tap     record.SessionID
	}
	// Show says who is at the station from now on.
	Show struct{ Presence Presence }
	// Tell says something to the person at the station.
	Tell struct{ Notice Notice }
	// Release gives a lease back to the broker.
	Release struct {
		Session record.SessionID
		Fence   record.Fence
		Cause   record.Reason
	}
	// Extend asks the broker to keep a lease, by an Extended event.
	Extend struct {
		Session record.SessionID
		Fence   record.Fence
	}
)

func (Decide) effect()  {}
func (Record) effect()  {}
func (Show) effect()    {}
func (Tell) effect()    {}
func (Release) effect() {}
func (Extend) effect()  {}

// Presence is who is at the station; the zero Presence is nobody.
type Presence struct {
	Session   record.SessionID
	Person    Person
	Since     time.Time
	EndsAt    time.Time // zero for none
	Account   record.AccountID
	Assurance uint8
	Mode      record.Mode
	By        string // who decided: "broker", "bundle"
	Reader    reader.Name
	Second    Person    // who has to be there too; empty for nobody
	Emergency Emergency // in force; its ID is empty for none
	// Used is why the station is in use by nobody who can be named, since Since; empty when it is not.
	Used record.Reason
}

// NoticeKind says what a notice is about.
type NoticeKind string

// The kinds of notice.
const (
	Refused       NoticeKind = "refused"
	CannotRead    NoticeKind = "unreadable"
	AlreadyHere   NoticeKind = "already-here" // asks whether to end the session
	IdleWarning   NoticeKind = "idle-warning"
	ReaderChanged NoticeKind = "reader"
	Deciding      NoticeKind = "deciding"  // a badge was read, and nobody knows yet what comes of it
	CardGone      NoticeKind = "card-gone" // the session ends unless the badge comes back
	// PINNeeded and SecondNeeded: the tap under Session waits for a PIN, or for another person's badge, until Until. Reason is why the last try was not
	// enough, empty before one; for SecondNeeded also whether the second person approves or stays.
	PINNeeded    NoticeKind = "pin-needed"
	SecondNeeded NoticeKind = "second-person-needed"
	// EndNear: the session ends in Lasts whatever anybody does; Reason says why.
	EndNear NoticeKind = "end-near"
	// ModeNotice: the mode in force has changed; Reason says why.
	ModeNotice NoticeKind = "mode"
	// Ended: the session has ended by something other than the person; Reason says what.
	Ended NoticeKind = "ended"
	// ClaimTap: whoever taps now answers for Emergency; Missing people have to. Reason is why the last tap did not count.
	ClaimTap NoticeKind = "claim-tap"
	// Claimed: enough people have answered for Emergency.
	Claimed NoticeKind = "claimed"
	// Unanswered: Missing people have not answered for Emergency in time.
	Unanswered NoticeKind = "emergency-unclaimed"
)

// Notice is something that the person at the station should see.
type Notice struct {
	Kind     NoticeKind
	Reason   record.Reason // of a refusal, an unreadable badge, a reader that is gone; empty for a reader that came
	HelpCode string
	Lasts    time.Duration
	Person   Person
	Reader   reader.Name
	Session  record.SessionID // of a tap that waits
	Until    time.Time        // it waits

	Emergency record.SessionID
	Missing   int
}
