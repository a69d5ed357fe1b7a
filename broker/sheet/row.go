package sheet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/badge"
	"tapline/broker/directory"
	"tapline/broker/roster"
)

// row is one line, its cells by their columns.
type row struct {
	r    *reader
	line int
	cell map[string]string
}

func (w row) fault(column, format string, args ...any) { w.r.fault(w.line, column, format, args...) }

// line reads one line below the header.
func (r *reader) line(line int, cells []string) {
	w := row{r: r, line: line, cell: make(map[string]string, len(cells))}
	blank := true
	for i, c := range cells {
		c = strings.TrimSpace(c)
		blank = blank && c == ""
		if i < len(r.columns) {
			w.cell[r.columns[i]] = c
		}
	}
	if blank {
		return
	}
	if len(cells) != len(r.columns) {
		w.fault("", "%d columns, the first line has %d", len(cells), len(r.columns))
		return
	}
	id := w.cell[colID]
	if id == "" {
		w.fault(colID, "empty")
		return
	}
	i, again := r.people[id]
	if !again {
		i = len(r.listing.People)
		r.people[id] = i
		r.first = append(r.first, w)
		r.listing.People = append(r.listing.People, roster.Person{Entry: w.person(id), At: w.at()})
	} else if !w.repeats(r.first[i]) {
		return
	}
	if b, ok := w.badge(); ok {
		p := &r.listing.People[i]
		p.Badges = append(p.Badges, b)
	}
}

// at is where the line is, for package roster; LineOf reads it back.
func (w row) at() string { return fmt.Sprintf("line %d", w.line) }

// LineOf is the line that a conflict of the roster is about; 0 if it is about none.
func LineOf(c roster.Conflict) int {
	n, err := strconv.Atoi(strings.TrimPrefix(c.At, "line "))
	if err != nil {
		return 0
	}
	return n
}

// repeats says whether a further line of a person says nothing new but a badge.
func (w row) repeats(first row) bool {
	for _, name := range w.r.columns {
		if field(name)&^roster.Badges == 0 || w.cell[name] == "" || w.cell[name] == first.cell[name] {
			continue
		}
		w.fault(name, "differs from line %d of the same person; a further line has another badge and repeats the rest or leaves it empty", first.line)
		return false
	}
	if w.cell[colBadge] == "" {
		w.fault(colID, "the person is on line %d already, and this line has no badge", first.line)
		return false
	}
	return true
}

// person reads all but the badge. What cannot be read is a fault.
func (w row) person(id string) *taplinev1.PersonEntry {
	e := &taplinev1.PersonEntry{
		Id: id, DisplayName: w.cell[colName], Language: w.cell[colLanguage], Roles: w.list(colRoles), Shifts: w.list(colShifts),
		Certifications: w.certifications(), Seniority: uint32(w.number(colSeniority, 32)), Suspended: w.yes(colSuspended),
	}
	checked := &taplinev1.PersonEntry{Id: e.GetId(), DisplayName: e.GetDisplayName(), Language: e.GetLanguage(), Roles: e.GetRoles(), Shifts: e.GetShifts(), Certifications: e.GetCertifications()}
	if err := directory.CheckPerson(checked); err != nil {
		name, problem := directory.FieldOf(err)
		w.fault(name, "%s", problem)
	}
	return e
}

func (w row) list(column string) []string {
	var all []string
	for part := range strings.SplitSeq(w.cell[column], "|") {
		if part = strings.TrimSpace(part); part != "" && !slices.Contains(all, part) {
			all = append(all, part)
		}
	}
	return all
}

func (w row) certifications() []*taplinev1.Certification {
	var all []*taplinev1.Certification
	for _, text := range w.list(colCertifications) {
		name, day, dated := strings.Cut(text, "=")
		c := &taplinev1.Certification{Name: strings.TrimSpace(name)}
		if dated {
			until, err := w.until(day)
			if err != nil {
				w.fault(colCertifications, "%.64q: %s", name, err)
				continue
			}
			c.NotAfter = timestamppb.New(until)
		}
		all = append(all, c)
	}
	return all
}

// until reads a day as the moment at which it is over, or a time with a zone as it is.
func (w row) until(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if d, err := time.ParseInLocation(time.DateOnly, text, w.r.o.Zone); err == nil && d.Year() > 1970 {
		return d.AddDate(0, 0, 1), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Year() < 1971 || t.Year() > 9000 {
		return time.Time{}, fmt.Errorf("want a day such as 2027-03-31, or a time such as 2027-03-31T14:00:00+02:00")
	}
	return t, nil
}

func (w row) number(column string, bits int) uint64 {
	if w.cell[column] == "" {
		return 0
	}
	n, err := strconv.ParseUint(w.cell[column], 10, bits)
	if err != nil {
		w.fault(column, "want a whole number from 0 on")
	}
	return n
}

func (w row) yes(column string) bool {
	switch strings.ToLower(w.cell[column]) {
	case "yes", "true", "1", "y":
		return true
	case "no", "false", "0", "n", "":
		return false
	}
	w.fault(column, "want yes or no")
	return false
}

// badge reads the badge of a line; false if it has none, or none that can be read.
func (w row) badge() (roster.Badge, bool) {
	text := w.cell[colBadge]
	if text == "" {
		return roster.Badge{}, false
	}
	if f := w.cell[colFormat]; f != "" {
		text = f + ":" + text
	}
	number, err := badge.Parse(text)
	if err != nil {
		w.fault(colBadge, "%s", err)
		return roster.Badge{}, false
	}
	if t := w.cell[colTechnology]; t != "" {
		number.Technology = t
	}
	if w.cell[colAssurance] != "" {
		number.Assurance = taplinev1.Assurance(min(w.number(colAssurance, 31), 1<<20))
	}
	proof, err := w.r.o.Directory.ReadProof(colBadge, number)
	if err != nil {
		w.fault(colBadge, "%s", strings.TrimPrefix(err.Error(), "badge."))
		return roster.Badge{}, false
	}
	b := roster.Badge{Proof: proof, Label: w.cell[colLabel], At: w.at()}
	if err := directory.CheckLabel(b.Label); err != nil {
		w.fault(colLabel, "%s", err)
	}
	if w.cell[colNotAfter] != "" {
		if b.NotAfter, err = w.until(w.cell[colNotAfter]); err != nil {
			w.fault(colNotAfter, "%s", err)
		}
	}
	return b, true
}
