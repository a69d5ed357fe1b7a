// Package directory knows people, badges, stations and shared accounts: whose a badge is, and whether an entry makes sense.
//
// The session service asks whose a badge is, the admin service checks entries with it before it stores them. A badge number comes in canonical
// form and leaves only as a keyed hash or sealed; the package never logs it and gives it to nobody but the maker of grant bundles.
// It says who a person is and never what they may do: that is broker/policy.
package directory

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Directory finds and checks. It holds no state beside the vault.
type Directory struct {
	Vault *vault.Vault
}

const maxNumber = 512

// Proof is a checked BadgeProof.
type Proof struct {
	Lookup     []byte // keyed hash of the number
	Sealed     []byte // the number, sealed
	Technology string
	Assurance  taplinev1.Assurance
}

// ReadProof checks what a reader said of a badge; field is its name for the error. The error never shows the number.
func (d Directory) ReadProof(field string, b *taplinev1.BadgeProof) (Proof, error) {
	n := b.GetNumber()
	_, a := taplinev1.Assurance_name[int32(b.GetAssurance())]
	switch {
	case len(n) == 0:
		return Proof{}, wire.E(wire.Invalid, "%s.number: missing", field)
	case len(n) > maxNumber || !canonical(n):
		return Proof{}, wire.E(wire.Invalid, "%s.number: not in canonical form (format, NUL, bit count, NUL, bytes; at most %d bytes)", field, maxNumber)
	case len(b.GetTechnology()) > 64:
		return Proof{}, wire.E(wire.Invalid, "%s.technology: longer than 64", field)
	case !a:
		return Proof{}, wire.E(wire.Invalid, "%s.assurance: %d is not known", field, b.GetAssurance())
	}
	return Proof{
		Lookup: d.Vault.Digest("badge", n), Sealed: d.Vault.Seal("badge", n), Technology: b.GetTechnology(), Assurance: b.GetAssurance(),
	}, nil
}

// canonical reports whether n is format, NUL, bit count in decimal, NUL, and as many bytes as the bits need.
func canonical(n []byte) bool {
	format, rest, ok := bytes.Cut(n, []byte{0})
	count, raw, ok2 := bytes.Cut(rest, []byte{0})
	if !ok || !ok2 || len(format) == 0 {
		return false
	}
	bits, err := strconv.Atoi(string(count))
	return err == nil && bits > 0 && strconv.Itoa(bits) == string(count) && len(raw) == (bits+7)/8
}

// Number opens the number of a badge, for making its reference in a bundle.
func (d Directory) Number(sealed []byte) ([]byte, error) { return d.Vault.Open("badge", sealed) }

// Holder is whose a badge is.
type Holder struct {
	Badge  store.Badge
	Person *taplinev1.PersonEntry
}

// Holder finds out whose a badge is. The cause is unspecified for a badge that is good; a badge that was revoked still has its person.
func (d Directory) Holder(tx *store.Tx, lookup []byte, now time.Time) (Holder, taplinev1.RefusalCause, error) {
	b, err := tx.BadgeByLookup(lookup)
	if errors.Is(err, store.ErrNotFound) {
		return Holder{}, taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE, nil
	}
	if err != nil {
		return Holder{}, 0, err
	}
	p, err := tx.Person(b.Person)
	if errors.Is(err, store.ErrNotFound) {
		return Holder{}, taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE, nil
	}
	if err != nil {
		return Holder{}, 0, err
	}
	h := Holder{Badge: b, Person: p}
	switch {
	case !b.Good(now):
		return h, taplinev1.RefusalCause_REFUSAL_CAUSE_BADGE_REVOKED, nil
	case p.GetSuspended():
		return h, taplinev1.RefusalCause_REFUSAL_CAUSE_PERSON_INACTIVE, nil
	}
	return h, 0, nil
}

// Message is a person as a station sees them.
func Message(p *taplinev1.PersonEntry) *taplinev1.Person {
	return &taplinev1.Person{Id: p.GetId(), DisplayName: p.GetDisplayName(), Language: p.GetLanguage(), Roles: p.GetRoles()}
}

// AccountOf is the shared account that a session at a station is for: the one asked for, if the account allows that station, else the station's
// own.
func AccountOf(tx *store.Tx, s store.Station, asked record.AccountID) (record.AccountID, error) {
	own := record.AccountID(s.Entry.GetAccount())
	if asked == "" || asked == own {
		return own, nil
	}
	a, err := tx.Account(asked)
	if errors.Is(err, store.ErrNotFound) {
		return "", wire.E(wire.Invalid, "account: %q is not known", asked)
	}
	if err != nil {
		return "", fmt.Errorf("account asked for: %w", err)
	}
	for _, at := range a.GetStations() {
		if Covers(at, s.ID()) {
			return asked, nil
		}
	}
	return "", wire.E(wire.Invalid, "account: %q is not for station %s", asked, s.ID())
}
