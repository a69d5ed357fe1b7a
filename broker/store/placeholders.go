package store

import (
	"strconv"
	"strings"
	"sync"
)

// numbered turns queries with "?" into queries with $1, $2, ..., and keeps what it made.
type numbered struct {
	mu   sync.Mutex // guards made
	made map[string]string
}

func (n *numbered) form(query string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	form, ok := n.made[query]
	if ok {
		return form
	}
	form = numberPlaceholders(query)
	if len(n.made) < maxPrepared {
		n.made[query] = form
	}
	return form
}

// numberPlaceholders leaves "?" alone where it is text, a name or a comment.
func numberPlaceholders(query string) string {
	var b strings.Builder
	b.Grow(len(query) + 16)
	for n := 0; query != ""; {
		i := strings.IndexAny(query, `?'"-`)
		if i < 0 {
			break
		}
		b.WriteString(query[:i])
		query = query[i:]
		if query[0] == '?' {
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			query = query[1:]
			continue
		}
		end := quoted(query)
		b.WriteString(query[:end])
		query = query[end:]
	}
	b.WriteString(query)
	return b.String()
}

// quoted is how long the string, name or comment is that query begins with; 1 for a minus. A doubled quote ends one and begins the next, which
// comes to the same.
func quoted(query string) int {
	until := query[:1]
	if until == "-" {
		if !strings.HasPrefix(query, "--") {
			return 1
		}
		until = "\n"
	}
	if i := strings.Index(query[1:], until); i >= 0 {
		return i + 2
	}
	return len(query)
}
