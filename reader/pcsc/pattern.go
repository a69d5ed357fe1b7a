package pcsc

import (
	"regexp"
	"strings"

	"tapline/reader"
)

// patterns is a list of reader name patterns. Reader names are full of brackets and slashes, which path.Match would take for syntax, so only
// * and ? mean something here.
type patterns []*regexp.Regexp

func compile(list []string) patterns {
	var p patterns
	for _, s := range list {
		expr := regexp.QuoteMeta(s)
		expr = strings.ReplaceAll(expr, `\*`, `.*`)
		expr = strings.ReplaceAll(expr, `\?`, `.`)
		p = append(p, regexp.MustCompile(`(?is)^`+expr+`$`)) // quoted, so it always compiles
	}
	return p
}

func (p patterns) match(name string) bool {
	for _, expr := range p {
		if expr.MatchString(name) {
			return true
		}
	}
	return false
}

// selection says which readers are used.
type selection struct{ include, exclude patterns }

func newSelection(c Config) selection {
	return selection{include: compile(c.Include), exclude: compile(c.Exclude)}
}

// of returns the names that are used, as they are.
func (s selection) of(names []string) []reader.Name {
	var used []reader.Name
	for _, name := range names {
		if (len(s.include) == 0 || s.include.match(name)) && !s.exclude.match(name) {
			used = append(used, reader.Name(name))
		}
	}
	return used
}
