package session

import (
	"time"

	"tapline/proto/record"
	"tapline/reader"
)

// Badge is what is known of a badge beside its number.
type Badge struct {
	Ref        record.BadgeRef
	Technology string
	Assurance  uint8
}

// Person is whom a badge names.
type Person struct {
	ID       record.PersonID
	Name     string // as the panel shows it
	Language string
	Roles    []string
}

// Lease is the broker's side of a session.
type Lease struct {
	ID        string
	Fence     record.Fence
	ExpiresAt time.Time
}

// Terms is what ends a session. Zero values leave it to the station's Rules. Times have a monotonic reading, so that a clock that is set ends
// nobody's session.
type Terms struct {
	Idle         time.Duration
	IdleWarning  time.Duration
	EndsAt       time.Time
	LeaveTheCard bool
	CardGrace    time.Duration
	Mode         record.Mode
}

// TapOut says what a tap of the person who is at the station means.
type TapOut string

const (
	// Confirm: the first tap asks, a second one while the station asks ends the session.
	Confirm TapOut = "confirm"
	// Never: a tap only shows who is there; sessions end by other means.
	Never TapOut = "never"
)

// Rules are the station's own settings.
type Rules struct {
	Mode record.Mode
	// Bounce is how long a badge that is seen again counts as the same tap.
	Bounce time.Duration
	// Ask is how long the station asks the person there whether to end the session.
	Ask    time.Duration
	TapOut TapOut
	// Idle ends a session without input; 0 is never. IdleWarning is how long before that the person is warned.
	Idle, IdleWarning time.Duration
	// Longest ends any session; 0 is never.
	Longest time.Duration
	// EndWarning is how long before the end of a shift, or of the longest time, the person is warned; 0 is never.
	EndWarning time.Duration
	// PINWithin is how long a tap waits for a PIN, SecondWithin for a second person.
	PINWithin, SecondWithin time.Duration
	// LeaveTheCard ends a session when its badge leaves the reader, after CardGrace.
	LeaveTheCard bool
	CardGrace    time.Duration
	// ReaderGrace is the same for a reader that goes away with the badge on it.
	ReaderGrace time.Duration
	// EmergencyLongest ends an emergency that nobody ends; 0 is never.
	EmergencyLongest time.Duration
	// ClaimWithin is how long two people have to answer for an emergency, ClaimTap how long the station waits for the tap of one who wants to.
	ClaimWithin, ClaimTap time.Duration
	// InputQuiet is how long after the last input the station counts as used, when nobody is there, in mode attribute; 0 counts no input. UseLongest is
	// for how long a logon or an unlock at the station counts without a new sign; 0 is until it ends.
	InputQuiet, UseLongest time.Duration
	// ExtendRetry is the pause after an extension that did not reach the broker.
	ExtendRetry time.Duration
}

// DefaultRules are those of a station without settings of its own.
func DefaultRules() Rules {
	return Rules{
		Mode: record.ModeAttribute, Bounce: 3 * time.Second, Ask: 10 * time.Second, TapOut: Confirm,
		IdleWarning: time.Minute, Longest: 12 * time.Hour, EndWarning: 5 * time.Minute,
		PINWithin: 45 * time.Second, SecondWithin: time.Minute,
		CardGrace: 5 * time.Second, ReaderGrace: 30 * time.Second, ExtendRetry: 30 * time.Second,
		EmergencyLongest: 4 * time.Hour, ClaimWithin: 8 * time.Hour, ClaimTap: time.Minute,
		InputQuiet: time.Minute, UseLongest: time.Hour,
	}
}

// Causes of an end, as records spell them.
const (
	TapOutCause  record.Reason = "tap-out"
	HandOver     record.Reason = "hand-over"
	IdleEnd      record.Reason = "idle"
	Expired      record.Reason = "expired"
	ShiftEnd     record.Reason = "shift-end"
	CardRemoved  record.Reason = "card-removed"
	RevokedCause record.Reason = "revoked"
	AgentStopped record.Reason = "agent-stopped"
	AgentDied    record.Reason = "agent-died"
	// Elsewhere: the person began a session at another station.
	Elsewhere record.Reason = "elsewhere"
	// SecondLeft: the second person, without whom the session may not be, has left.
	SecondLeft record.Reason = "second-left"
	// Overtaken refuses a tap that waited when another one came.
	Overtaken record.Reason = "overtaken"
	// CalledOff refuses a tap that waited when somebody called it off.
	CalledOff record.Reason = "called-off"
)

// Tap is one badge presented at one reader.
type Tap struct {
	// Session is the session to be, new with each tap. Spare is another, for when it counts as a second person's: the broker takes a name once.
	Session, Spare record.SessionID
	Reader         reader.Name
	Badge          Badge
	// Number is for the broker alone; it hides itself.
	Number reader.Number
	At     time.Time
	// Presence says that the reader reports when the badge leaves.
	Presence bool
}

// Answer is what was decided about a tap.
type Answer struct {
	Session    record.SessionID
	Allowed    bool
	Refusal    record.Reason
	HelpCode   string
	RetryAfter time.Duration
	Person     Person
	Second     Person // whose badge came with the tap; empty when that is not known
	Account    record.AccountID
	Lease      *Lease // nil when decided without the broker
	Terms      Terms
	Decision   record.Decision
	Factors    []string
	Latency    record.Latency
}
