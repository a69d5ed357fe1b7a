package grant

import (
	"time"

	"tapline/proto/record"
)

// PayloadType is the DSSE payload type of a bundle.
const PayloadType = "application/vnd.tapline.bundle.v1+json"

// Version is the version of the bundle that this package reads and writes.
const Version = 1

// Bundle is a signed, expiring list that lets one station decide without the broker.
type Bundle struct {
	Version  int              `json:"v"`
	Station  record.StationID `json:"station"`
	Sequence uint64           `json:"sequence"` // rises with each bundle of the station; an older one is never taken
	IssuedAt time.Time        `json:"issued_at"`
	NotAfter time.Time        `json:"not_after"`
	Policy   string           `json:"policy"` // version of the policy set that was evaluated
	Account  record.AccountID `json:"account"`
	Terms    Terms            `json:"terms"`
	Tiers    []Tier           `json:"tiers"`        // in order of age
	PIN      PINRule          `json:"pin,omitzero"` // when a PIN is asked for
	// Shifts are the working hours of the shifts that grants name, for as long as the bundle is good.
	Shifts map[string][]Period `json:"shifts,omitempty"`
	// Answers are what the policy said, each once; Outlooks are under which circumstances it said what. Grants share them.
	Answers  []Answer  `json:"answers,omitempty"`
	Outlooks []Outlook `json:"outlooks,omitempty"`
	Grants   []Grant   `json:"grants"`
}

// Terms is what ends a session, for the whole station. A zero duration means the station's own setting.
type Terms struct {
	IdleSeconds        int64 `json:"idle_s,omitempty"`
	IdleWarningSeconds int64 `json:"idle_warning_s,omitempty"`
	SessionSeconds     int64 `json:"session_s,omitempty"` // longest session that the bundle grants
	LeaveTheCard       bool  `json:"leave_the_card,omitempty"`
	CardGraceSeconds   int64 `json:"card_grace_s,omitempty"`
	// EndsAt ends every session at the latest.
	EndsAt *time.Time  `json:"ends_at,omitempty"`
	Mode   record.Mode `json:"mode,omitempty"` // the most that the station enforces; empty for its own setting
}

// Tier says what the bundle grants up to an age.
type Tier struct {
	Name         TierName `json:"name"`
	UntilSeconds int64    `json:"until_s"` // age of the bundle, in seconds since issue
}

// TierName names a tier.
type TierName string

// The tiers. Past the last one only an emergency opens the station.
const (
	TierAll       TierName = "all"       // everybody that the bundle names
	TierEssential TierName = "essential" // essential roles, with a PIN
	TierEmergency TierName = "emergency" // nobody by badge
)

// DefaultTiers is 72 h for all and 14 days for essential roles.
func DefaultTiers() []Tier {
	return []Tier{
		{TierAll, int64((72 * time.Hour).Seconds())},
		{TierEssential, int64((14 * 24 * time.Hour).Seconds())},
	}
}

// Grant is what one badge may do at the station.
type Grant struct {
	Badge      record.BadgeRef `json:"badge"`
	Person     Person          `json:"person"`
	Refusal    string          `json:"refusal,omitempty"`     // name of the RefusalCause for a badge that is known and refused, whatever the policy says
	BadgeUntil *time.Time      `json:"badge_until,omitempty"` // the badge's own end
	Phases     []Phase         `json:"phases,omitempty"`      // in the order of time
	Shifts     []string        `json:"shifts,omitempty"`      // of the person; empty for always
	PIN        string          `json:"pin,omitempty"`         // argon2id verifier in PHC string form
	OnlineOnly bool            `json:"online_only,omitempty"`
	// Approver is the class of those who approve as this person does, counted from 1; 0 for one whose approval needs the broker.
	Approver int `json:"approver,omitempty"`

	// What brokers wrote before there were phases. A grant without phases is held to these.
	Rules         []string   `json:"rules,omitempty"`
	MinAssurance  uint8      `json:"min_assurance,omitempty"`
	Essential     bool       `json:"essential,omitempty"`
	NeedsPIN      bool       `json:"needs_pin,omitempty"`
	NotAfter      *time.Time `json:"not_after,omitempty"`
	WindowMinutes []Window   `json:"windows,omitempty"`
}

// Phase is a time during which a person's certifications do not change.
type Phase struct {
	Until     *time.Time `json:"until,omitempty"` // not included; nil for the last one
	Outlook   int        `json:"outlook"`         // index into the bundle's outlooks
	Essential bool       `json:"essential,omitempty"`
	// Approved are indexes into the bundle's outlooks: what the policy says when somebody of each class approves. Empty where no rule looks at it.
	Approved []int `json:"approved,omitempty"`
}

// Window is a time of the week, in minutes since Monday 00:00 UTC, end not included.
type Window struct {
	From  int `json:"from"`
	Until int `json:"until"`
}

// Person is what a station may know of a human.
type Person struct {
	ID          record.PersonID `json:"id"`
	DisplayName string          `json:"display_name"`
	Language    string          `json:"language,omitempty"`
	Roles       []string        `json:"roles,omitempty"`
}
