// Package sheet reads people and their badges from a CSV file, as spreadsheets and personnel systems write it, and says what is wrong with each line.
//
// The import of the admin service calls it; what it gives is a listing for broker/roster. A file is UTF-8, with or without a byte order mark, in
// the form of RFC 4180. The separator is the one with which the first line makes sense: a comma, a semicolon (as Excel writes where the comma
// stands in numbers) or a tab; a line "sep=;" before it is honoured. The first line names the columns, in any order:
//
//	id                the person's stable ID; the only column that is needed
//	display_name      what the panel shows
//	language          BCP 47 tag
//	roles             words with | between them, as in every list
//	certifications    NAME or NAME=2027-03-31, the last day on which it is good
//	shifts            IDs of shifts
//	seniority         a number
//	suspended         yes or no
//	badge             a number as package badge reads it
//	badge_format      its format, where badge holds the digits alone
//	badge_label       such as "blue lanyard"
//	badge_not_after   last day, or a time with a zone, on which a temporary badge is good
//	badge_technology, badge_assurance    where they are not those of the number's format; assurance is 0 to 4
//
// A column that is not there says nothing: people keep what they have. Somebody with several badges has a line for each; beyond the first one all other
// columns repeat or are empty. A PIN is never taken from a file.
//
// The package writes nothing and looks nothing up. A fault never shows a badge number.
package sheet

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tapline/broker/directory"
	"tapline/broker/roster"
)

// Limits of a file.
const (
	MaxBytes  = 16 << 20
	MaxLines  = 100_000
	MaxFaults = 200 // reported; a file with more is wrong as a whole
)

// Options are how a file is read.
type Options struct {
	Directory directory.Directory
	// Zone is where a day ends; nil for UTC.
	Zone *time.Location
	// Separator is between columns; 0 finds it out.
	Separator rune
}

// Fault is what is wrong with a line.
type Fault struct {
	Line    int // from 1
	Column  string
	Problem string
}

// Unpack gives the file in data, which may be packed with gzip.
func Unpack(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		if len(data) > MaxBytes {
			return nil, fmt.Errorf("larger than %d MiB", MaxBytes>>20)
		}
		return data, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(z, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	if len(plain) > MaxBytes {
		return nil, fmt.Errorf("larger than %d MiB", MaxBytes>>20)
	}
	return plain, nil
}

// Read reads a file. With faults the listing is not to be used.
func Read(file []byte, o Options) (roster.Listing, []Fault) {
	r := reader{o: o, people: map[string]int{}}
	if o.Zone == nil {
		r.o.Zone = time.UTC
	}
	r.listing.Source = roster.CSV
	r.file(file)
	slices.SortStableFunc(r.faults, func(a, b Fault) int { return a.Line - b.Line })
	return r.listing, r.faults
}

// reader is a file that is being read.
type reader struct {
	o       Options
	skipped int // lines before the header
	columns []string
	people  map[string]int // of the listing, by ID
	first   []row          // their first lines
	listing roster.Listing
	faults  []Fault
}

// full says that enough faults were found.
func (r *reader) full() bool { return len(r.faults) >= MaxFaults }

func (r *reader) fault(line int, column, format string, args ...any) {
	if !r.full() {
		r.faults = append(r.faults, Fault{line, column, fmt.Sprintf(format, args...)})
	}
}

func (r *reader) file(b []byte) {
	if bytes.HasPrefix(b, []byte{0xff, 0xfe}) || bytes.HasPrefix(b, []byte{0xfe, 0xff}) {
		r.fault(1, "", "the file is UTF-16; save it as \"CSV UTF-8\"")
		return
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if !utf8.Valid(b) {
		r.fault(firstBad(b), "", "not UTF-8 from here on; save it as \"CSV UTF-8\"")
		return
	}
	separator := r.o.Separator
	if head, rest, ok := bytes.Cut(b, []byte("\n")); ok && bytes.HasPrefix(bytes.ToLower(head), []byte("sep=")) {
		if given, _ := utf8.DecodeRune(head[len("sep="):]); separator == 0 && strings.ContainsRune(separators, given) {
			separator = given
		}
		b, r.skipped = rest, 1
	}
	if separator == 0 {
		separator = guess(b)
	}
	c := csv.NewReader(bytes.NewReader(b))
	c.Comma, c.FieldsPerRecord, c.ReuseRecord = separator, -1, false
	for lines := 0; !r.full(); lines++ {
		cells, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var wrong *csv.ParseError
		if errors.As(err, &wrong) {
			r.fault(wrong.StartLine+r.skipped, "", "the quotes do not match, near line %d: %s", wrong.Line+r.skipped, wrong.Err)
			return // what follows would be read as what it is not
		}
		if err != nil {
			r.fault(1, "", "%s", err)
			return
		}
		line, _ := c.FieldPos(0)
		line += r.skipped
		if lines > MaxLines {
			r.fault(line, "", "more than %d lines", MaxLines)
			return
		}
		if r.columns == nil {
			if !r.header(line, cells) {
				return
			}
			continue
		}
		r.line(line, cells)
	}
	if r.columns == nil {
		r.fault(1, "", "the file is empty: its first line names the columns, such as id,display_name,roles,badge")
	}
}

const separators = ",;\t"

// guess is the separator with which the first line has the most columns that are known.
func guess(b []byte) rune {
	head, _, _ := bytes.Cut(b, []byte("\n"))
	best, most := ',', 0
	for _, s := range separators {
		known := 0
		for _, name := range strings.Split(string(head), string(s)) {
			if slices.Contains(names(), columnName(name)) {
				known++
			}
		}
		if known > most {
			best, most = s, known
		}
	}
	return best
}

// firstBad is the line of the first byte that is not UTF-8.
func firstBad(b []byte) int {
	line := 1
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		if c == utf8.RuneError && n == 1 {
			break
		}
		if c == '\n' {
			line++
		}
		b = b[n:]
	}
	return line
}
