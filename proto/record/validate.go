package record

import (
	"fmt"
	"strings"
)

// Limits of a payload, in bytes.
const (
	maxLevel  = 64  // one level of a station's name
	maxString = 256 // any identifier or word
	maxNote   = 4096
)

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{FaultBadPayload}, args...)...)
}

// Valid reports whether s is four levels, "site/area/line/station", each of 1 to 64 ASCII letters, digits, dots, dashes and underscores, and
// none beginning with a dot. Such a name is a path on every system.
func (s StationID) Valid() bool {
	levels := strings.Split(string(s), "/")
	for _, l := range levels {
		if l == "" || len(l) > maxLevel || l[0] == '.' || strings.Trim(l, wordBytes) != "" {
			return false
		}
	}
	return len(levels) == 4
}

const wordBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

// Valid reports whether c is a UUID in lower case.
func (c ChainID) Valid() bool {
	if len(c) != 36 {
		return false
	}
	for i := range len(c) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c[i] == '-') || !dash && !isLowerHex([]byte{c[i]}) {
			return false
		}
	}
	return true
}

// Valid reports whether t is a type of version 1.
func (t Type) Valid() bool {
	_, ok := needs[t]
	return ok
}

// Valid reports whether m is a mode, or none.
func (m Mode) Valid() bool {
	return m == "" || m == ModeAttribute || m == ModeGate || m == ModeLock || m == ModeSignIn
}

// Valid reports whether s is a state of a clock.
func (s ClockState) Valid() bool {
	return s == ClockUnanchored || s == ClockAgrees || s == ClockDiffers || s == ClockWasStepped
}

// need is a field that a type cannot do without.
type need struct {
	field string
	there func(*Payload) bool
}

var (
	needSession  = need{"session", func(p *Payload) bool { return p.Session != "" }}
	needPerson   = need{"person", func(p *Payload) bool { return p.Person != "" }}
	needFrom     = need{"from", func(p *Payload) bool { return p.From != nil && p.From.Session != "" }}
	needDecision = need{"decision", func(p *Payload) bool { return p.Decision != nil && p.Decision.By != "" }}
	needReason   = need{"reason", func(p *Payload) bool { return p.Reason != "" }}
	needSeal     = need{"seal", func(p *Payload) bool { return p.Seal != nil && !p.Seal.Next.IsZero() }}
	needClaim    = need{"claim", func(p *Payload) bool { return p.Claim != nil && p.Claim.Emergency != "" }}
	needReader   = need{"reader", func(p *Payload) bool { return p.Reader != "" }}
	needBeat     = need{"beat", func(p *Payload) bool { return p.Beat != nil }}
	needStart    = need{"start", func(p *Payload) bool { return p.Start != nil }}
	needJournal  = need{"journal", func(p *Payload) bool { return p.Journal != nil && p.Journal.Fault != "" }}
	needMode     = need{"mode", func(p *Payload) bool { return p.Mode != "" }}
	needVisit    = need{"visit", func(p *Payload) bool { return p.Visit != nil && p.Visit.ID != "" }}
	needAction   = need{"action", func(p *Payload) bool { return p.Action != nil && p.Action.Name != "" }}
	needAdmin    = need{"admin", func(p *Payload) bool { return p.Admin != nil && p.Admin.Method != "" }}
	needAccount  = need{"account", func(p *Payload) bool { return p.Account != "" }}
)

// needs is the table of SPEC.md, "Types".
var needs = map[Type][]need{
	SessionOpened:     {needSession, needPerson, needDecision},
	SessionHandedOver: {needSession, needPerson, needFrom, needDecision},
	SessionExtended:   {needSession},
	SessionClosed:     {needSession, needReason},
	TapRefused:        {needReason},
	EmergencyOpened:   {needSession},
	EmergencyClaimed:  {needPerson, needClaim},
	UnattributedBegan: {needReason},
	UnattributedEnded: nil,
	SecretReleased:    {needAccount},
	SecretRotated:     {needAccount},
	ReaderAttached:    {needReader},
	ReaderDetached:    {needReader},
	StationStarted:    {needStart},
	StationStopped:    nil,
	StationHeartbeat:  {needBeat},
	ClockStepped:      nil,
	JournalDegraded:   {needJournal},
	JournalRecovered:  {needJournal},
	ModeChanged:       {needMode},
	VisitEvent:        {needVisit},
	OperatorAction:    {needAction},
	EpochSealed:       {needSeal},
	AdminAct:          {needAdmin},
}

// Validate says what is wrong with p on its own, without its chain. The error wraps a FaultKind.
func (p *Payload) Validate() error {
	switch {
	case p.Version != Version:
		return fmt.Errorf("%w %d", FaultUnknownVersion, p.Version)
	case !p.Type.Valid():
		return fmt.Errorf("%w %q", FaultUnknownType, p.Type)
	case !p.Station.Valid():
		return bad("station %q is not site/area/line/station", p.Station)
	case !p.Chain.Valid():
		return bad("chain %q is not a UUID in lower case", p.Chain)
	case p.Seq == 0 || p.Epoch == 0:
		return bad("seq and epoch count from 1")
	case (p.Seq == 1) != p.Prev.IsZero():
		return bad("prev is zero in record 1 and nowhere else")
	case !p.Mode.Valid():
		return bad("mode %q", p.Mode)
	case p.Seal != nil && p.Type != EpochSealed:
		return bad("a seal in a record of type %s", p.Type)
	case p.Second != nil && (!p.Second.Part.Valid() || p.Second.Person == "" && p.Second.Badge == nil):
		return bad("second.part %q, want approver or co-present, and a person or a badge", p.Second.Part)
	}
	if err := p.Time.validate(); err != nil {
		return err
	}
	for _, n := range needs[p.Type] {
		if !n.there(p) {
			return bad("%s needs the field %s", p.Type, n.field)
		}
	}
	if a := p.alive(); a != nil && (a.Wall.IsZero() || !isUTC(a.Wall) || a.Monotonic < 0) {
		return bad("start.alive must have a time in UTC and none below zero")
	}
	return p.validateWords()
}

func (p *Payload) alive() *Alive {
	if p.Start == nil {
		return nil
	}
	return p.Start.Alive
}

func (t *Time) validate() error {
	switch {
	case t.Wall.IsZero() || !isUTC(t.Wall):
		return bad("time.wall must be a time in UTC")
	case t.Anchor != nil && !isUTC(t.Anchor.Broker):
		return bad("time.anchor.broker must be in UTC")
	case !t.State.Valid():
		return bad("time.state %q", t.State)
	case t.Monotonic < 0 || t.Error < 0:
		return bad("time below zero")
	}
	return nil
}

// validateWords keeps identifiers and words short, and free of NUL, which not every store can keep. The limit of the whole record holds whatever else there
// is.
func (p *Payload) validateWords() error {
	var from SessionID
	if p.From != nil {
		from = p.From.Session
	}
	var second PersonID
	if p.Second != nil {
		second = p.Second.Person
	}
	var emergency SessionID
	if p.Claim != nil {
		emergency = p.Claim.Emergency
	}
	var aliveBoot string
	if a := p.alive(); a != nil {
		aliveBoot = a.Boot
	}
	for _, f := range [...]struct{ name, value string }{
		{"start.alive.boot", aliveBoot},
		{"from.session", string(from)},
		{"claim.emergency", string(emergency)},
		{"session", string(p.Session)},
		{"person", string(p.Person)},
		{"second.person", string(second)},
		{"account", string(p.Account)},
		{"reader", p.Reader},
		{"reason", string(p.Reason)},
		{"time.boot", p.Time.Boot},
	} {
		if len(f.value) > maxString {
			return bad("%s has %d bytes, limit %d", f.name, len(f.value), maxString)
		}
		if strings.ContainsRune(f.value, 0) {
			return bad("%s has a NUL in it", f.name)
		}
	}
	if p.Claim != nil && len(p.Claim.Note) > maxNote {
		return bad("claim.note has %d bytes, limit %d", len(p.Claim.Note), maxNote)
	}
	return nil
}
