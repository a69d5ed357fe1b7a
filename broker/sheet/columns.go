package sheet

import (
	"slices"
	"strings"

	"tapline/broker/roster"
)

// The columns.
const (
	colID             = "id"
	colName           = "display_name"
	colLanguage       = "language"
	colRoles          = "roles"
	colCertifications = "certifications"
	colShifts         = "shifts"
	colSeniority      = "seniority"
	colSuspended      = "suspended"
	colBadge          = "badge"
	colFormat         = "badge_format"
	colLabel          = "badge_label"
	colNotAfter       = "badge_not_after"
	colTechnology     = "badge_technology"
	colAssurance      = "badge_assurance"
)

func names() []string {
	return []string{
		colID, colName, colLanguage, colRoles, colCertifications, colShifts, colSeniority, colSuspended,
		colBadge, colFormat, colLabel, colNotAfter, colTechnology, colAssurance,
	}
}

// field is what of a person a column speaks of; 0 for none by itself.
func field(column string) roster.Fields {
	switch column {
	case colName:
		return roster.DisplayName
	case colLanguage:
		return roster.Language
	case colRoles:
		return roster.Roles
	case colCertifications:
		return roster.Certifications
	case colShifts:
		return roster.Shifts
	case colSeniority:
		return roster.Seniority
	case colSuspended:
		return roster.Suspended
	case colBadge:
		return roster.Badges
	}
	return 0
}

// columnName is a header's cell as a column's name: "Display Name" is display_name.
func columnName(cell string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.Trim(strings.TrimSpace(cell), `"`)))
}

// header reads the names of the columns.
func (r *reader) header(line int, cells []string) bool {
	for _, cell := range cells {
		name := columnName(cell)
		switch {
		case name == "pin":
			r.fault(line, name, "a PIN is never taken from a file: take the column out and set PINs with tapctl person pin")
		case !slices.Contains(names(), name):
			r.fault(line, name, "there is no such column; there are %s", strings.Join(names(), ", "))
		case slices.Contains(r.columns, name):
			r.fault(line, name, "the column is there twice")
		}
		r.columns = append(r.columns, name)
		r.listing.Fields |= field(name)
	}
	if !slices.Contains(r.columns, colID) {
		r.fault(line, colID, "the column is missing")
	}
	for _, name := range []string{colFormat, colLabel, colNotAfter, colTechnology, colAssurance} {
		if slices.Contains(r.columns, name) && !slices.Contains(r.columns, colBadge) {
			r.fault(line, name, "without a column badge it says nothing")
		}
	}
	return len(r.faults) == 0
}
