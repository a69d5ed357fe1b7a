package store

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestPlaceholdersAreNumberedOutsideOfText(t *testing.T) {
	for query, want := range map[string]string{
		``:                                   ``,
		`SELECT 1`:                           `SELECT 1`,
		`a = ? AND b IN (?, ?)`:              `a = $1 AND b IN ($2, $3)`,
		`a = '?' AND b = ?`:                  `a = '?' AND b = $1`,
		`a = 'it''s ?' AND b = ?`:            `a = 'it''s ?' AND b = $1`,
		`LIKE ? ESCAPE '\' OR x LIKE ?`:      `LIKE $1 ESCAPE '\' OR x LIKE $2`,
		`"odd ? name" = ?`:                   `"odd ? name" = $1`,
		"? -- is this ?\n, ?":                "$1 -- is this ?\n, $2",
		`? - ? - -1`:                         `$1 - $2 - -1`,
		`'open ?`:                            `'open ?`,
		strings.Repeat(`?,`, 11):             `$1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,`,
		`INSERT INTO t (é) VALUES (?, 'ü?')`: `INSERT INTO t (é) VALUES ($1, 'ü?')`,
	} {
		if got := numberPlaceholders(query); got != want {
			t.Errorf("%q became %q, want %q", query, got, want)
		}
	}
}

// FuzzPlaceholders: numbers count up from one, and nothing else is changed.
func FuzzPlaceholders(f *testing.F) {
	f.Add(`a = '?' AND b = ? -- ?`)
	ambiguous := regexp.MustCompile(`\$|\?[0-9]`) // undone, $11 could be the eleventh or the first before a 1: no query of ours has either
	f.Fuzz(func(t *testing.T, query string) {
		if ambiguous.MatchString(query) {
			return
		}
		got := numberPlaceholders(query)
		back := got
		for n := strings.Count(got, "$"); n > 0; n-- {
			if !strings.Contains(back, fmt.Sprint("$", n)) {
				t.Fatalf("%q became %q, without $%d", query, got, n)
			}
			back = strings.Replace(back, fmt.Sprint("$", n), "?", 1)
		}
		if back != query {
			t.Errorf("%q became %q", query, got)
		}
	})
}
