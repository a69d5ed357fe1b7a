package directory

import (
	"slices"
	"strings"
	"time"
	"unicode"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/durationpb"

	"tapline/broker/shift"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Limits of an entry.
const (
	maxID    = 64
	maxName  = 128
	maxList  = 64
	maxWords = 64
)

// goodID reports whether an ID is 1 to 64 letters, digits and a few marks: it stands in records, file names and command lines.
func goodID(id string) bool {
	const bytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-"
	return id != "" && len(id) <= maxID && strings.Trim(id, bytes) == "" && id[0] != '-'
}

// goodText reports whether a text can be shown on one line, in a terminal too, and reads there as it is written: no control characters, line
// breaks, or marks that turn the direction of what stands beside them.
func goodText(s string, limit int) bool {
	return len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) || r == unicode.ReplacementChar
	})
}

func checkWords(field string, words []string) error {
	if len(words) > maxList {
		return wire.E(wire.Invalid, "%s: more than %d", field, maxList)
	}
	for i, w := range words {
		if w == "" || !goodText(w, maxWords) {
			return wire.E(wire.Invalid, "%s: entry %d is empty or longer than %d characters", field, i, maxWords)
		}
	}
	return nil
}

// CheckPerson checks an entry and puts its lists in order.
func CheckPerson(p *taplinev1.PersonEntry) error {
	switch {
	case p == nil:
		return wire.E(wire.Invalid, "person: missing")
	case !goodID(p.GetId()):
		return wire.E(wire.Invalid, "person.id: 1 to %d letters, digits, dots, dashes, underscores or @", maxID)
	case !goodText(p.GetDisplayName(), maxName):
		return wire.E(wire.Invalid, "person.display_name: at most %d characters on one line", maxName)
	case !goodText(p.GetLanguage(), 35):
		return wire.E(wire.Invalid, "person.language: not a BCP 47 tag")
	case len(p.GetCertifications()) > maxList:
		return wire.E(wire.Invalid, "person.certifications: more than %d", maxList)
	case !goodText(p.GetSource(), 16):
		return wire.E(wire.Invalid, "person.source: at most 16 characters")
	}
	for i, c := range p.GetCertifications() {
		if c.GetName() == "" || !goodText(c.GetName(), maxWords) {
			return wire.E(wire.Invalid, "person.certifications: entry %d has no name, or one longer than %d characters", i, maxWords)
		}
		if c.GetNotAfter() != nil && !c.GetNotAfter().IsValid() {
			return wire.E(wire.Invalid, "person.certifications: entry %d: not_after is no time", i)
		}
	}
	if err := checkWords("person.roles", p.GetRoles()); err != nil {
		return err
	}
	if err := checkWords("person.shifts", p.GetShifts()); err != nil {
		return err
	}
	if p.GetDisplayName() == "" {
		p.DisplayName = p.GetId()
	}
	if p.GetSource() == "" {
		p.Source = "local"
	}
	slices.Sort(p.Roles)
	p.Roles = slices.Compact(p.Roles)
	return nil
}

// FieldOf is which field of an entry an error of CheckPerson is about, and what is wrong with it.
func FieldOf(err error) (field, problem string) {
	name, problem, ok := strings.Cut(err.Error(), ": ")
	if !ok {
		return "", err.Error()
	}
	return strings.TrimPrefix(name, "person."), problem
}

// CheckLabel checks the label of a badge.
func CheckLabel(label string) error {
	if !goodText(label, maxWords) {
		return wire.E(wire.Invalid, "label: at most %d characters on one line", maxWords)
	}
	return nil
}

// CheckShift checks an entry.
func CheckShift(s *taplinev1.Shift) error {
	switch {
	case s == nil:
		return wire.E(wire.Invalid, "shift: missing")
	case !goodID(s.GetId()):
		return wire.E(wire.Invalid, "shift.id: 1 to %d letters, digits, dots, dashes, underscores or @", maxID)
	case !goodText(s.GetName(), maxName):
		return wire.E(wire.Invalid, "shift.name: at most %d characters on one line", maxName)
	}
	_, err := shift.Parse(s)
	return err
}

// checkAccountSecret checks what an entry says of the account's secret.
func checkAccountSecret(a *taplinev1.Account) error {
	switch {
	case !goodText(a.GetName(), maxName):
		return wire.E(wire.Invalid, "account.name: at most %d characters on one line", maxName)
	case a.GetDriver() == "local" && a.GetName() != "" && !goodID(a.GetName()):
		return wire.E(wire.Invalid, "account.name: not a user's name")
	case !positive(a.GetRotateAfter()) || a.GetRotateAfter().AsDuration() > 0 && a.GetRotateAfter().AsDuration() < time.Minute:
		return wire.E(wire.Invalid, "account.rotate_after: at least a minute, or nothing")
	case !positive(a.GetOldSecretWindow()):
		return wire.E(wire.Invalid, "account.old_secret_window: below zero")
	case a.GetSecretLength() != 0 && (a.GetSecretLength() < 8 || a.GetSecretLength() > 128):
		return wire.E(wire.Invalid, "account.secret_length: 8 to 128, or nothing")
	case a.GetVault() != "" && a.GetVault() != "openbao":
		return wire.E(wire.Invalid, "account.vault: openbao, or nothing for the broker's own store")
	}
	return nil
}

func positive(d *durationpb.Duration) bool { return d == nil || d.IsValid() && d.AsDuration() >= 0 }

// CheckAccount checks an entry.
func CheckAccount(a *taplinev1.Account) error {
	switch {
	case a == nil:
		return wire.E(wire.Invalid, "account: missing")
	case !goodID(a.GetId()):
		return wire.E(wire.Invalid, "account.id: 1 to %d letters, digits, dots, dashes, underscores or @", maxID)
	case !slices.Contains([]string{"", "none", "manual", "ldap", "local"}, a.GetDriver()):
		return wire.E(wire.Invalid, "account.driver: %q is none of none, manual, ldap, local", a.GetDriver())
	case a.GetCapacity() > 10_000:
		return wire.E(wire.Invalid, "account.capacity: more than 10,000")
	case !positive(a.GetLeaseTime()) || a.GetLeaseTime().AsDuration() > 0 && a.GetLeaseTime().AsDuration() < time.Second:
		return wire.E(wire.Invalid, "account.lease_time: at least a second, or nothing")
	case len(a.GetStations()) > 1000:
		return wire.E(wire.Invalid, "account.stations: more than 1,000")
	}
	if err := checkAccountSecret(a); err != nil {
		return err
	}
	for _, s := range a.GetStations() {
		if level, below := strings.CutSuffix(s, "/"); !below && !record.StationID(s).Valid() || below && !goodLevels(level) {
			return wire.E(wire.Invalid, "account.stations: %q is neither a station nor a level ending in /", s[:min(len(s), 80)])
		}
	}
	if a.GetDriver() == "" {
		a.Driver = "none"
	}
	return nil
}

func goodLevels(level string) bool {
	n := strings.Count(level, "/") + 1
	return n <= 3 && record.StationID(level+strings.Repeat("/x", 4-n)).Valid()
}

// CheckStation checks an entry.
func CheckStation(s *taplinev1.Station) error {
	if s == nil {
		return wire.E(wire.Invalid, "station: missing")
	}
	_, mode := taplinev1.Mode_name[int32(s.GetMode())]
	_, assurance := taplinev1.Assurance_name[int32(s.GetRequiresAssurance())]
	switch {
	case !record.StationID(s.GetId()).Valid():
		return wire.E(wire.Invalid, "station.id: not site/area/line/station, each 1 to 64 letters, digits, dots, dashes, underscores")
	case !mode:
		return wire.E(wire.Invalid, "station.mode: %d is not known", s.GetMode())
	case s.GetAccount() != "" && !goodID(s.GetAccount()):
		return wire.E(wire.Invalid, "station.account: not an account's ID")
	case !goodText(s.GetZone(), maxWords):
		return wire.E(wire.Invalid, "station.zone: at most %d characters on one line", maxWords)
	case !assurance:
		return wire.E(wire.Invalid, "station.requires_assurance: %d is not known", s.GetRequiresAssurance())
	}
	for _, d := range []struct {
		field string
		value interface{ IsValid() bool }
		zero  bool
	}{
		{"idle", s.GetTerms().GetIdle(), s.GetTerms().GetIdle() == nil},
		{"idle_warning", s.GetTerms().GetIdleWarning(), s.GetTerms().GetIdleWarning() == nil},
		{"card_grace", s.GetTerms().GetCardGrace(), s.GetTerms().GetCardGrace() == nil},
		{"ends_at", s.GetTerms().GetEndsAt(), s.GetTerms().GetEndsAt() == nil},
	} {
		if !d.zero && !d.value.IsValid() {
			return wire.E(wire.Invalid, "station.terms.%s: out of range", d.field)
		}
	}
	return checkWords("station.requires_certifications", s.GetRequiresCertifications())
}

// Covers reports whether at, a station or a level ending in "/", covers a station.
func Covers(at string, station record.StationID) bool {
	return at == string(station) || strings.HasSuffix(at, "/") && strings.HasPrefix(string(station), at)
}
