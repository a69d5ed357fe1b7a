package store

import "strings"

// Page asks for a piece of a list that is sorted by a key.
type Page struct {
	Size  int    // at most this many
	After string // the key where the piece before ended; empty for the first
	Query string // text that must occur, whatever its case; empty for all
}

// like is Query as a pattern of LIKE with the escape character "\".
func (p Page) like() string {
	r := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
	return "%" + r.Replace(strings.ToLower(p.Query)) + "%"
}
