// Package roster takes over what a source says of people and badges: a CSV file, an LDAP directory, a SCIM client. It is the one writer for all
// of them.
//
// A source gives a Listing: who there is, as far as it knows, and which fields of a person it speaks of. Writer.Apply works out what would change
// (who is added, changed, unchanged, has left or is back) and writes it, all of it or nothing, with a record of the listing and one of each person
// that changed. A dry run stops before it writes. A listing is complete (whoever of the source is not in it has left) or only a piece of news
// (only Gone have left), which is how deltas and single changes come.
//
// What it holds to, whatever a source says:
//
//   - A person belongs to one source, the one in the entry. People of the source "local", and those of another source, are not touched; a listing that
//     names one gets a Conflict. Who should belong to another source is handed over with "tapctl person put ID --source NAME".
//   - A source decides over the fields that it speaks of (Fields) and leaves the others as they are.
//   - Who has left is suspended, their sessions end, and their badges are revoked. Nothing is deleted: records refer to it.
//   - Who comes back is let in again, but a source lifts only a suspension that it made itself.
//   - A badge belongs to one person. A number that somebody else has in force is a Conflict. A source gives and takes only badges of its own; it neither
//     finds a lost badge nor gives out again a number that was revoked as stolen, lost or replaced.
//   - A safety brake: a listing by which too many people would lose their access at once (Brake) is refused, unless it is forced. A search base with a
//     typing error must not empty a plant.
//
// The package reads no file and no network, and sees no badge number but as a hash and sealed. Its callers are broker/sheet's import, the
// synchronisation with LDAP and the SCIM service.
package roster

import (
	"fmt"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/directory"
	"tapline/broker/store"
	"tapline/proto/record"
)

// Sources of entries beside directory.Local.
const (
	CSV  = "csv"
	LDAP = "ldap"
	SCIM = "scim"
)

// Fields are what of a person a source speaks of.
type Fields uint

// The fields. The ID is always spoken of.
const (
	DisplayName Fields = 1 << iota
	Language
	Roles
	Certifications
	Shifts
	Seniority
	Suspended
	Badges
)

// Listing is what a source says.
type Listing struct {
	// Source is its name: CSV, LDAP or SCIM.
	Source string
	// Fields are what it says of each person. Without Badges nobody's badges are touched but those of who has left.
	Fields Fields
	// People are those that it knows, in any order.
	People []Person
	// Complete says that People are all there are: whoever else belongs to the source has left.
	Complete bool
	// Gone have left although the listing is not complete. Those that the source does not have are passed over.
	Gone []record.PersonID
}

// Person is one of them.
type Person struct {
	// Entry holds the ID and the fields that the source speaks of; source, revision and what the broker sets are not looked at.
	Entry *taplinev1.PersonEntry
	// Badges are all that the source knows of the person.
	Badges []Badge
	// At says where the source has this, for messages: "line 7", a distinguished name.
	At string
}

// Badge is a badge that a source knows. Directory.ReadProof makes the proof.
type Badge struct {
	directory.Proof
	Label    string
	NotAfter time.Time // zero for never
	At       string
}

// Rules are how a listing is taken.
type Rules struct {
	// DryRun only says what would change.
	DryRun bool
	// Strict refuses everything if there is a conflict; else what is in conflict is left out.
	Strict bool
	// Force takes the listing although the brake holds it.
	Force bool
	// Accept, if it is set, says whether somebody has accepted these very changes, so that the brake lets them go and no others.
	Accept func([]Change) bool
	// Brake is when too many would go. Its zero value stands for DefaultBrake.
	Brake Brake
	// Also, if it is set, is done in the update that writes the changes, after them; its error undoes them. Without Always it is not called when there are none, and it
	// may be called again after an attempt that came to nothing.
	Also func(*store.Tx) error
	// Method names the act in records, such as "ImportDirectory"; Actor is who does it, empty for the caller of the context.
	Method, Actor string
	// Always does Also, and records the act, when there are no changes too.
	Always bool
}

// Brake says how many of a source's people may lose their access at once. Both limits hold; Free are always let go, for small plants, but never
// everybody.
type Brake struct {
	People  int
	Percent int
	Free    int
}

// DefaultBrake is for a source that does not set its own.
func DefaultBrake() Brake { return Brake{People: 100, Percent: 10, Free: 5} }

// holds says why a brake holds; empty when it does not. before is how many people of the source could work, going how many of them could not after.
func (b Brake) holds(before, going int) string {
	if b == (Brake{}) {
		b = DefaultBrake()
	}
	switch {
	case going > 1 && going == before:
		return fmt.Sprintf("all %d people of the source would lose their access", before)
	case going <= b.Free:
		return ""
	case going > b.People:
		return fmt.Sprintf("%d people would lose their access, more than %d at once", going, b.People)
	case going*100 > before*b.Percent:
		return fmt.Sprintf("%d of %d people would lose their access, more than %d %%", going, before, b.Percent)
	}
	return ""
}

// BrakeError says that the brake holds. Its kind is Precondition.
type BrakeError struct{ Why string }

// Error says why, and what to do.
func (e *BrakeError) Error() string {
	return e.Why + ": nothing was changed; force it if that is meant"
}

// Outcome is what changed, or would.
type Outcome struct {
	Added, Changed, Unchanged, Left int
	// Changes are in the order of the IDs.
	Changes []Change
	// Conflicts are what was left out, or with Rules.Strict what stopped it all.
	Conflicts []Conflict
	// Held says why the brake holds; empty when it does not.
	Held string
}

// Kind is what becomes of a person.
type Kind string

// The kinds. Back is somebody who had left; it counts as changed.
const (
	Added   Kind = "added"
	Changed Kind = "changed"
	Back    Kind = "back"
	Left    Kind = "left"
)

// Change is what changes of one person.
type Change struct {
	Person record.PersonID
	Kind   Kind
	// What are the fields, such as "roles", "badge added", "badge revoked".
	What []string
}

// Conflict is something that a source says and that is not taken.
type Conflict struct {
	Person record.PersonID
	At     string // as the source gave it
	Field  string // such as "id", "badge", "shifts"
	What   string
}

// String is one line for a log.
func (c Conflict) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s: person %s: %s: %s", c.At, c.Person, c.Field, c.What))
}
