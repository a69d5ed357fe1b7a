package sync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"tapline/broker/ldap"
)

// reader reads people from a session.
type reader struct {
	session *ldap.Session
	mapper  mapper
	now     time.Time
}

// news is what was read.
type news struct {
	full      bool
	found     []found
	gone      []string // keys that are known and are no longer there
	members   membership
	grouped   bool // members were read; else roles from groups are as they were
	cookie    []byte
	referrals int
	faults    []Fault
	notes     []string
	changes   int
}

// batch is how many entries are asked for by key at a time.
const batch = 50

// base is where changes are watched: both people and groups lie below it.
func (r *reader) base() string {
	c := r.mapper.cfg
	if len(c.Map.Roles.Groups) == 0 {
		return c.Base
	}
	groups := c.GroupBase
	if groups == "" {
		groups = r.session.Facts().Root
	}
	if common := ldap.Common(c.Base, groups); common != "" {
		return common
	}
	return r.session.Facts().Root
}

// watched are the attributes whose change counts, where the server can tell.
func (r *reader) watched() []string {
	return append(r.mapper.attributes(), "isDeleted", "member", "name", "parentGUID")
}

// delta says whether the server tells changes.
func (r *reader) delta() bool { return r.session.Facts().Kind != ldap.Other }

// everything reads everybody. The cookie comes first: what changes meanwhile is read again. An old one spares the server a list of everything.
func (r *reader) everything(ctx context.Context, cookie []byte) (news, error) {
	n := news{full: true, grouped: true}
	if r.delta() {
		changes, err := r.session.Changes(ctx, r.base(), r.watched(), cookie)
		if len(cookie) > 0 && (errors.Is(err, ldap.ErrCookie) || errors.Is(err, ldap.ErrTooMuch)) {
			changes, err = r.session.Changes(ctx, r.base(), r.watched(), nil)
		}
		switch {
		case errors.Is(err, ldap.ErrUnavailable):
			return n, err
		case err != nil:
			n.notes = append(n.notes, fmt.Sprintf("the server tells no changes to this account, so everything is read each time: %v", err))
		}
		n.cookie = changes.Cookie
		if changes.Blind {
			n.notes = append(n.notes, blindNote)
		}
	}
	var err error
	if n.members, err = r.members(ctx); err != nil {
		return n, err
	}
	return n, r.search(ctx, r.mapper.filter(), &n)
}

const blindNote = `the server does not show this account what was deleted, so the keys of all people are read each time: ` +
	`give it the right "Replicating Directory Changes"`

// search reads the people below the base who match.
func (r *reader) search(ctx context.Context, filter string, n *news) error {
	sum, err := r.session.Search(ctx, ldap.Query{Base: r.mapper.cfg.Base, Filter: filter, Attributes: r.mapper.attributes()}, func(e ldap.Entry) error {
		f, err := r.mapper.entry(e, r.now)
		if err != nil {
			n.faults = append(n.faults, Fault{Entry: e.DN, Attribute: r.mapper.keyAttribute(), What: "missing or unreadable; the entry is passed over"})
			return nil
		}
		n.found = append(n.found, f)
		return nil
	})
	n.referrals += sum.Referrals
	return err
}

// errFull says that a delta will not do.
var errFull = errors.New("everything has to be read")

// since reads what changed since a cookie.
func (r *reader) since(ctx context.Context, i image) (news, error) {
	changes, err := r.session.Changes(ctx, r.base(), r.watched(), i.stored.Cookie)
	if errors.Is(err, ldap.ErrCookie) || errors.Is(err, ldap.ErrTooMuch) {
		return news{}, fmt.Errorf("%w: %w", errFull, err)
	}
	if err != nil {
		return news{}, err
	}
	// A server that lost track may not say so, and list everything as changed.
	if len(changes.List) > batch && 4*len(changes.List) > len(i.known) || changes.Present == nil && len(changes.List) > len(i.known) {
		return news{}, errFull
	}
	n := news{cookie: changes.Cookie, changes: len(changes.List)}
	ask := map[string]bool{}
	strange := changes.Present != nil
	for _, c := range changes.List {
		key := c.Key.String()
		_, known := i.known[key]
		ask[key] = true
		strange = strange || !known
	}
	if err := r.missing(ctx, changes, i, ask, &n); err != nil {
		return n, err
	}
	for key, e := range i.known {
		lapsed := !e.LapsesAt.IsZero() && !e.LapsesAt.After(r.now)
		if lapsed || e.Again && len(ask) > 0 {
			ask[key] = true
		}
	}
	if err := r.regroup(ctx, strange, i, ask, &n); err != nil {
		return n, err
	}
	if err := r.look(ctx, i, ask, &n); err != nil || n.grouped || !renamed(n, i) {
		return n, err
	}
	// Groups name their members: a new name may end a membership, and begin one.
	more := map[string]bool{}
	if err := r.regroup(ctx, true, i, more, &n); err != nil {
		return n, err
	}
	maps.DeleteFunc(more, func(key string, _ bool) bool { return ask[key] })
	return n, r.look(ctx, i, more, &n)
}

// renamed reports whether somebody has another name than before.
func renamed(n news, i image) bool {
	return slices.ContainsFunc(n.found, func(f found) bool {
		before, known := i.known[f.key.String()]
		return known && before.Name != f.person.At
	})
}

// missing adds entries that are there no longer and of which the server does not say so one by one.
func (r *reader) missing(ctx context.Context, changes ldap.Changes, i image, ask map[string]bool, n *news) error {
	present := changes.Present
	if changes.Blind {
		n.notes = append(n.notes, blindNote)
		present = map[uuid.UUID]bool{}
		_, err := r.session.Search(ctx, ldap.Query{
			Base: r.mapper.cfg.Base, Filter: r.mapper.filter(), Attributes: []string{r.mapper.keyAttribute()},
		}, func(e ldap.Entry) error {
			if key, err := r.mapper.key(e); err == nil {
				present[key] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if present == nil {
		return nil
	}
	for key := range i.known {
		if id, err := uuid.Parse(key); err != nil || !present[id] {
			ask[key] = true
		}
	}
	return nil
}

// regroup reads the groups anew where one of them may have changed, and adds whose roles are others now.
func (r *reader) regroup(ctx context.Context, strange bool, i image, ask map[string]bool, n *news) error {
	if len(r.mapper.cfg.Map.Roles.Groups) == 0 || !strange {
		return nil
	}
	var err error
	if n.members, err = r.members(ctx); err != nil {
		return err
	}
	n.grouped = true
	for key, e := range i.known {
		if !slices.Equal(e.Roles, n.members.of(r.mapper.kind, key, e.Name)) {
			ask[key] = true
		}
	}
	return nil
}

// look reads entries by their keys. Those that do not match any more are gone, if they were known.
func (r *reader) look(ctx context.Context, i image, ask map[string]bool, n *news) error {
	keys, there := slices.Sorted(maps.Keys(ask)), map[string]bool{}
	for some := range slices.Chunk(keys, batch) {
		var either strings.Builder
		for _, key := range some {
			id, err := uuid.Parse(key)
			if err != nil {
				continue
			}
			if r.mapper.kind == ldap.AD {
				fmt.Fprintf(&either, "(objectGUID=%s)", ldap.EscapeBytes(ldap.GUIDBytes(id)))
			} else {
				fmt.Fprintf(&either, "(entryUUID=%s)", id)
			}
		}
		if err := r.search(ctx, "(&"+r.mapper.filter()+"(|"+either.String()+"))", n); err != nil {
			return err
		}
	}
	for _, f := range n.found {
		there[f.key.String()] = true
	}
	for _, key := range keys {
		if _, known := i.known[key]; known && !there[key] {
			n.gone = append(n.gone, key)
		}
	}
	return nil
}
