package record

import "time"

// Identifiers. Each has a type of its own, so that the compiler keeps a person out of a station's place.
type (
	// StationID names a station by its ISA-95 levels: "site/area/line/station".
	StationID string
	// ChainID names one chain of records of a station, a UUID: a station that is enrolled anew starts a new chain.
	ChainID string
	// SessionID names a session, a UUIDv7 that the station makes.
	SessionID string
	// PersonID is the stable ID of a human in the directory. Records hold it and never a name.
	PersonID string
	// AccountID names a shared account.
	AccountID string
	// BadgeRef is the keyed hash of a badge number under the station's badge key, in hex: it tells two taps of one badge
	// apart from two badges, and tells nobody the number.
	BadgeRef string
	// Seq counts the records of a chain from 1.
	Seq uint64
	// Epoch counts the signing keys of a chain from 1.
	Epoch uint64
	// Fence is the fencing number of a lease: a later lease of the same account has a greater one.
	Fence uint64
)

// Version is the version of the payload that this package writes.
const Version = 1

// Payload is what a record says. Field order is the order of the JSON; a zero optional field is left out. The meaning of each field, with
// units, is in SPEC.md.
type Payload struct {
	Version int       `json:"v"`
	Type    Type      `json:"type"`
	Station StationID `json:"station"`
	Chain   ChainID   `json:"chain"`
	Epoch   Epoch     `json:"epoch"`
	Seq     Seq       `json:"seq"`
	Prev    Hash      `json:"prev"`
	Time    Time      `json:"time"`
	Mode    Mode      `json:"mode,omitempty"`

	Session SessionID `json:"session,omitempty"`
	Person  PersonID  `json:"person,omitempty"`
	From    *From     `json:"from,omitempty"`
	Account AccountID `json:"account,omitempty"`
	Badge   *Badge    `json:"badge,omitempty"`
	Second  *Second   `json:"second,omitempty"`
	Reader  string    `json:"reader,omitempty"`

	Decision *Decision `json:"decision,omitempty"`
	Lease    *Lease    `json:"lease,omitempty"`
	Latency  *Latency  `json:"latency,omitempty"`
	Reason   Reason    `json:"reason,omitempty"`

	Seal    *Seal    `json:"seal,omitempty"`
	Beat    *Beat    `json:"beat,omitempty"`
	Journal *Journal `json:"journal,omitempty"`
	Visit   *Visit   `json:"visit,omitempty"`
	Action  *Action  `json:"action,omitempty"`
	Claim   *Claim   `json:"claim,omitempty"`
	Start   *Start   `json:"start,omitempty"`
	Admin   *Admin   `json:"admin,omitempty"`
	Secret  *Secret  `json:"secret,omitempty"`
}

// Type says what happened.
type Type string

// The record types of version 1.
const (
	SessionOpened     Type = "session.opened"
	SessionHandedOver Type = "session.handed-over"
	SessionExtended   Type = "session.extended"
	SessionClosed     Type = "session.closed"
	TapRefused        Type = "tap.refused"
	EmergencyOpened   Type = "emergency.opened"
	EmergencyClaimed  Type = "emergency.claimed"
	UnattributedBegan Type = "unattributed.began"
	UnattributedEnded Type = "unattributed.ended"
	SecretReleased    Type = "secret.released"
	SecretRotated     Type = "secret.rotated"
	ReaderAttached    Type = "reader.attached"
	ReaderDetached    Type = "reader.detached"
	StationStarted    Type = "station.started"
	StationStopped    Type = "station.stopped"
	StationHeartbeat  Type = "station.heartbeat"
	ClockStepped      Type = "clock.stepped"
	JournalDegraded   Type = "journal.degraded"
	JournalRecovered  Type = "journal.recovered"
	ModeChanged       Type = "mode.changed"
	VisitEvent        Type = "visit.event"
	OperatorAction    Type = "operator.action"
	EpochSealed       Type = "epoch.sealed"
	AdminAct          Type = "admin.act"
)

// Mode is how far the station enforced when the record was made.
type Mode string

// The modes, each enforcing more than the one before.
const (
	ModeAttribute Mode = "attribute"
	ModeGate      Mode = "gate"
	ModeLock      Mode = "lock"
	ModeSignIn    Mode = "signin"
)

// Reason is a short stable word that says why: of a refusal, an end, a degradation. Never free text.
type Reason string

// From is the person whose session a hand-over ends, so that one record names both.
type From struct {
	Session SessionID `json:"session"`
	Person  PersonID  `json:"person"`
}

// Badge is what the record keeps of the badge.
type Badge struct {
	Ref        BadgeRef `json:"ref,omitempty"`
	Technology string   `json:"technology,omitempty"`
	Assurance  uint8    `json:"assurance"`
	Factors    []string `json:"factors,omitempty"` // "badge", "pin", "second-person"
}

// Second is another person without whom the session would not have begun, or an emergency not been claimed.
type Second struct {
	Person PersonID `json:"person,omitempty"` // empty if the broker did not say
	Part   Part     `json:"part"`
	Badge  *Badge   `json:"badge,omitempty"` // that was presented
}

// Part says what a second person did.
type Part string

// The parts of a second person.
const (
	Approver  Part = "approver"   // said yes and went
	CoPresent Part = "co-present" // is there as long as the session lasts
)

// Valid reports whether p is a part of a second person.
func (p Part) Valid() bool { return p == Approver || p == CoPresent }

// Decision says who decided, by what, and how.
type Decision struct {
	By     string   `json:"by"`               // "broker", "bundle", "emergency" or "station"
	Bundle uint64   `json:"bundle,omitempty"` // sequence number of the grant bundle in use
	Policy string   `json:"policy,omitempty"` // version of the policy set
	Rules  []string `json:"rules,omitempty"`  // IDs of the rules that decided
	Tier   string   `json:"tier,omitempty"`   // offline tier in force, for By "bundle"
}

// Lease is the broker's side of the session; absent when none was held (offline).
type Lease struct {
	ID    string `json:"id"`
	Fence Fence  `json:"fence"`
}

// Time says when, and how far that can be believed.
type Time struct {
	Wall      time.Time `json:"wall"`    // the OS clock, UTC
	Boot      string    `json:"boot"`    // boot ID of the OS
	Monotonic int64     `json:"mono_ns"` // ns since boot, sleep included
	// Anchor is the last time the broker told; absent before the first.
	Anchor *Anchor    `json:"anchor,omitempty"`
	State  ClockState `json:"state"`
	// Error is the half-width of the interval that surely holds the true time, in ms; 0 when unknown.
	Error int64 `json:"error_ms,omitempty"`
}

// Anchor ties the monotonic clock to the broker's time.
type Anchor struct {
	Broker    time.Time `json:"broker"`  // the broker's clock, UTC
	Boot      string    `json:"boot"`    // boot during which it was received
	Monotonic int64     `json:"mono_ns"` // ns since that boot, on receipt
}

// ClockState says how the wall clock stands to the broker's.
type ClockState string

// The states of a station's clock.
const (
	ClockUnanchored ClockState = "unanchored" // no broker time yet
	ClockAgrees     ClockState = "agrees"     // within the tolerance of the last anchor
	ClockDiffers    ClockState = "differs"    // off by more than the tolerance
	ClockWasStepped ClockState = "stepped"    // moved against the monotonic clock since the last record
)

// Latency splits the time from the reader's event to the decision, in microseconds. (The fsync that makes the record durable comes after
// signing, so it cannot be in it; the agent's metrics have it.)
type Latency struct {
	Read   int64 `json:"read_us"`
	Decide int64 `json:"decide_us"`
}

// Seal ends an epoch: the last record signed with its key names the next key. The old private key is destroyed after it.
type Seal struct {
	Records uint64    `json:"records"` // records of the epoch, the seal included
	Next    PublicKey `json:"next"`    // Ed25519 public key of the next epoch
}

// Beat is the station's sign of life, and what the broker last acknowledged.
type Beat struct {
	Interval int64  `json:"interval_s"` // seconds to the next beat
	Acked    Seq    `json:"acked"`      // greatest sequence number under a receipt
	Uptime   int64  `json:"uptime_s"`
	State    string `json:"state"` // "idle", "named", "unattributed", "emergency"
}

// Journal says what the journal found or lost: of a degradation or a recovery.
type Journal struct {
	Fault   string `json:"fault"`             // "full", "io", "torn", "read-only"
	Dropped uint64 `json:"dropped,omitempty"` // statements that could not be written while degraded
	Torn    int64  `json:"torn_bytes,omitempty"`
}

// Start says what started.
type Start struct {
	Build    string `json:"build"`              // version of the agent
	Stopped  bool   `json:"stopped"`            // true when the last run ended in order
	KeyStore string `json:"keystore,omitempty"` // where the private keys are
	// Alive is when the last run still lived, if it did not end in order: the clocks as a file had them, which that run renewed every few
	// seconds and signed never. It is believed no further than that run's next heartbeat.
	Alive *Alive `json:"alive,omitempty"`
}

// Alive is a mark of life that nobody signed when it was made.
type Alive struct {
	Wall      time.Time `json:"wall"` // the OS clock, UTC
	Boot      string    `json:"boot"`
	Monotonic int64     `json:"mono_ns"` // ns since that boot
}

// Visit is the third party's access that the session belongs to.
type Visit struct {
	ID     string   `json:"id"`
	Event  string   `json:"event"`
	Escort PersonID `json:"escort,omitempty"`
}

// Action is something an operator did in an application, signed on their behalf (21 CFR 11.200).
type Action struct {
	Application string `json:"application"`
	Name        string `json:"name"`
	Meaning     string `json:"meaning,omitempty"`
	Digest      Hash   `json:"digest"` // SHA-256 of what was signed
}

// ClaimsNeeded is how many different people have to answer for an emergency.
const ClaimsNeeded = 2

// Claim names an emergency and the person who takes responsibility for it.
type Claim struct {
	Emergency SessionID `json:"emergency"`
	Note      string    `json:"note,omitempty"`
}

// Admin is an administrative act at the broker, a record of the broker's own chain.
type Admin struct {
	Method string `json:"method"` // gRPC method
	Actor  string `json:"actor"`
	Role   string `json:"role,omitempty"` // in which the actor did it
	Digest Hash   `json:"digest"`         // SHA-256 of the request
	Target string `json:"target,omitempty"`
}

// Secret says which version of an account's secret a record is about: never the secret.
type Secret struct {
	Version uint64 `json:"version"`
	Cause   string `json:"cause,omitempty"` // why it was changed; a short stable word
	// OldUntil is until when the secret before may still open the account; absent when it does not.
	OldUntil *time.Time `json:"old_until,omitempty"`
}
