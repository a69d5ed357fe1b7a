package ldap

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-ldap/ldap/v3"
)

// Query is a search below a base.
type Query struct {
	Base       string
	Filter     string
	Attributes []string
	// Only restricts the search to the base entry itself.
	Only bool
	// Limit bounds the entries; 0 for MaxEntries.
	Limit int
}

// MaxEntries is how many entries one search gives at most.
const MaxEntries = 500_000

// Summary says what a search met beside entries.
type Summary struct {
	Entries   int
	Referrals int // none was followed
}

var errEnough = errors.New("enough")

// Search gives each entry that matches to each, page by page. An error of each ends the search; Enough ends it without one.
func (s *Session) Search(ctx context.Context, q Query, each func(Entry) error) (Summary, error) {
	var sum Summary
	limit := q.Limit
	if limit <= 0 {
		limit = MaxEntries
	}
	paging := ldap.NewControlPaging(uint32(s.cfg.PageSize))
	for {
		request := request(q)
		if s.facts.Paging && !q.Only {
			request.Controls = []ldap.Control{paging}
		}
		answered, err := s.page(ctx, request, limit, &sum, each)
		if errors.Is(err, errEnough) {
			return sum, nil
		}
		if err != nil {
			return sum, fmt.Errorf("search below %q: %w", q.Base, err)
		}
		if len(request.Controls) == 0 {
			return sum, nil
		}
		next, ok := ldap.FindControl(answered, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !ok { // whoever is missing from half a list would be taken for somebody who has left
			return sum, fmt.Errorf("search below %q: %w: a page did not come to its end", q.Base, ErrUnavailable)
		}
		if len(next.Cookie) == 0 {
			return sum, nil
		}
		paging.SetCookie(next.Cookie)
	}
}

// Enough ends a search from within.
func Enough() error { return errEnough }

func request(q Query) *ldap.SearchRequest {
	scope := ldap.ScopeWholeSubtree
	if q.Only {
		scope = ldap.ScopeBaseObject
	}
	return ldap.NewSearchRequest(q.Base, scope, ldap.NeverDerefAliases, 0, 0, false, q.Filter, q.Attributes, nil)
}

// page asks for one page and gives the controls of its end. When it does not come to its end the session is of no more use: the library cannot
// give a search up.
func (s *Session) page(ctx context.Context, r *ldap.SearchRequest, limit int, sum *Summary, each func(Entry) error) ([]ldap.Control, error) {
	var last []ldap.Control
	err := s.during(ctx, func() error {
		return s.drain(ctx, s.conn.SearchAsync(ctx, r, 0), func(a ldap.Response) error {
			switch {
			case a.Referral() != "":
				sum.Referrals++
			case a.Entry() != nil:
				if sum.Entries >= limit {
					return fmt.Errorf("%w: more than %d entries", ErrTooMuch, limit)
				}
				sum.Entries++
				return each(entryOf(a.Entry()))
			default:
				last = a.Controls()
			}
			return nil
		})
	})
	return last, err
}

// drain takes results until they end. When it ends early it cuts the line: results that come would have nobody to take them.
func (s *Session) drain(ctx context.Context, results ldap.Response, take func(ldap.Response) error) error {
	for results.Next() {
		s.line.taken()
		if err := take(results); err != nil {
			_ = s.line.Close()
			for results.Next() { //nolint:revive // what was under way ends with the line
			}
			return &ownFault{err}
		}
	}
	if err := results.Err(); err != nil {
		return err
	}
	// The library ends without an error when the line was cut, and when it met a message that made it stumble.
	if ctx.Err() != nil || s.conn.IsClosing() {
		return ldap.NewError(ldap.ErrorNetwork, errors.New("the line was cut"))
	}
	if err := s.conn.GetLastError(); err != nil {
		return ldap.NewError(ldap.ErrorNetwork, err)
	}
	return nil
}

// Find gives the one entry that matches. ErrNoEntry if there is none; an error too if there are several.
func (s *Session) Find(ctx context.Context, q Query) (Entry, error) {
	var found []Entry
	q.Limit = 2
	if _, err := s.Search(ctx, q, func(e Entry) error {
		found = append(found, e)
		return nil
	}); err != nil {
		return Entry{}, err
	}
	switch len(found) {
	case 0:
		return Entry{}, fmt.Errorf("%w below %q for %s", ErrNoEntry, q.Base, q.Filter)
	case 1:
		return found[0], nil
	}
	return Entry{}, fmt.Errorf("several entries below %q for %s", q.Base, q.Filter)
}
