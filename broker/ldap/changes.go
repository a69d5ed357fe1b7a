package ldap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/uuid"
)

// Change says that something about an entry changed. It is a hint: what is true now is read by a search.
type Change struct {
	Key  uuid.UUID // objectGUID or entryUUID
	Gone bool      // it was deleted, or left the base
}

// Changes are what changed since a cookie.
type Changes struct {
	List []Change
	// Present, where it is not nil, holds every entry that is still there and did not change: an entry that is neither in it nor in List is gone.
	Present map[uuid.UUID]bool
	// Cookie is where to go on the next time. Keep it after the changes were acted upon, not before.
	Cookie []byte
	// Blind says that the account is not shown what was deleted (Active Directory, without the right to replicate changes).
	Blind bool
}

// maxChanges bounds a list of changes; a longer one is no better than reading everything.
const maxChanges = MaxEntries

// Changes says what changed below base since cookie; with none it lists everything that there is. attributes are those whose change counts, where
// the server can tell. ErrCookie says that everything must be read again, with a cookie that is got without one first.
func (s *Session) Changes(ctx context.Context, base string, attributes []string, cookie []byte) (Changes, error) {
	switch s.facts.Kind {
	case AD:
		return s.dirSync(ctx, attributes, cookie)
	case RFC4533:
		return s.refresh(ctx, base, cookie)
	}
	return Changes{}, errors.New("the server tells no changes")
}

const (
	flagObjectSecurity = 0x1 // LDAP_DIRSYNC_OBJECT_SECURITY: as much as the account may read, without the right to replicate
	maxDirSyncBytes    = 1 << 20
)

// dirSync asks Active Directory (MS-ADTS, section 3.1.1.3.4.1.3). It tells of the whole naming context: the control knows no smaller base.
func (s *Session) dirSync(ctx context.Context, attributes []string, cookie []byte) (Changes, error) {
	found, err := s.dirSyncWith(ctx, attributes, cookie, 0)
	if errors.Is(err, ErrRights) {
		found, err = s.dirSyncWith(ctx, attributes, cookie, flagObjectSecurity)
		found.Blind = true
	}
	if err != nil && len(cookie) > 0 && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrRights) && ctx.Err() == nil {
		return Changes{}, fmt.Errorf("%w: %w", ErrCookie, err)
	}
	return found, err
}

func (s *Session) dirSyncWith(ctx context.Context, attributes []string, cookie []byte, flags int64) (Changes, error) {
	changes := Changes{Cookie: cookie}
	for {
		r := request(Query{Base: s.facts.Root, Filter: "(|(objectClass=user)(objectClass=group))", Attributes: attributes})
		r.Controls = []ldap.Control{ldap.NewRequestControlDirSync(flags, maxDirSyncBytes, changes.Cookie)}
		answered, err := s.page(ctx, r, maxChanges, &Summary{}, func(e Entry) error {
			key, err := GUID(first(e.Values("objectGUID")))
			if err != nil {
				return fmt.Errorf("%s: objectGUID: %w", e.DN, err)
			}
			if len(changes.List) >= maxChanges {
				return ErrTooMuch
			}
			changes.List = append(changes.List, Change{Key: key, Gone: e.Text("isDeleted") == "TRUE"})
			return nil
		})
		if err != nil {
			return Changes{}, fmt.Errorf("ask for changes (DirSync): %w", err)
		}
		control, ok := ldap.FindControl(answered, ldap.ControlTypeDirSync).(*ldap.ControlDirSync)
		if !ok || len(control.Cookie) == 0 {
			return Changes{}, fmt.Errorf("ask for changes (DirSync): %w: no cookie came", ErrCookie)
		}
		changes.Cookie = append([]byte(nil), control.Cookie...)
		if control.Flags == 0 { // in an answer: whether there is more
			return changes, nil
		}
	}
}

func first(values [][]byte) []byte {
	if len(values) == 0 {
		return nil
	}
	return values[0]
}

// refresh asks by the refreshOnly of RFC 4533.
func (s *Session) refresh(ctx context.Context, base string, cookie []byte) (Changes, error) {
	t := &tally{changes: Changes{Cookie: cookie}, present: map[uuid.UUID]bool{}}
	r := request(Query{Base: base, Filter: "(objectClass=*)", Attributes: []string{"1.1"}})
	err := s.during(ctx, func() error {
		return s.drain(ctx, s.conn.Syncrepl(ctx, r, 0, ldap.SyncRequestModeRefreshOnly, cookie, false), t.take)
	})
	if err != nil {
		if len(cookie) > 0 && !errors.Is(err, ErrUnavailable) && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", ErrCookie, err)
		}
		return Changes{}, fmt.Errorf("ask for changes (RFC 4533): %w", err)
	}
	if len(t.changes.Cookie) == 0 {
		return Changes{}, fmt.Errorf("ask for changes (RFC 4533): %w: no cookie came", ErrCookie)
	}
	if !t.deletes {
		t.changes.Present = t.present
	}
	return t.changes, nil
}

// tally adds the messages of one refresh up.
type tally struct {
	changes Changes
	present map[uuid.UUID]bool
	deletes bool // what is gone was named; else what is not named as present is gone
}

func (t *tally) take(a ldap.Response) error {
	if len(t.changes.List)+len(t.present) > maxChanges {
		return ErrTooMuch
	}
	for _, c := range a.Controls() {
		switch c := c.(type) {
		case *ldap.ControlSyncState:
			if c.State == ldap.SyncStatePresent {
				t.present[c.EntryUUID] = true
			} else {
				t.changes.List = append(t.changes.List, Change{Key: c.EntryUUID, Gone: c.State == ldap.SyncStateDelete})
			}
			t.keep(c.Cookie)
		case *ldap.ControlSyncInfo:
			t.info(c)
		case *ldap.ControlSyncDone:
			t.keep(c.Cookie)
			t.deletes = t.deletes || c.RefreshDeletes
		}
	}
	return nil
}

func (t *tally) info(c *ldap.ControlSyncInfo) {
	switch {
	case c.NewCookie != nil:
		t.keep(c.NewCookie.Cookie)
	case c.RefreshDelete != nil:
		t.keep(c.RefreshDelete.Cookie)
		t.deletes = true
	case c.RefreshPresent != nil:
		t.keep(c.RefreshPresent.Cookie)
	case c.SyncIdSet != nil:
		t.keep(c.SyncIdSet.Cookie)
		for _, key := range c.SyncIdSet.SyncUUIDs {
			if c.SyncIdSet.RefreshDeletes {
				t.changes.List = append(t.changes.List, Change{Key: key, Gone: true})
			} else {
				t.present[key] = true
			}
		}
	}
}

func (t *tally) keep(cookie []byte) {
	if len(cookie) > 0 {
		t.changes.Cookie = append([]byte(nil), cookie...)
	}
}

// Watch calls changed whenever the server says by itself that something changed, until ctx or the line ends, which it gives as an error. What
// changed is for Changes to find out, so nothing is lost if a word of it is. It is for a session of its own. cookie is the one of Changes.
func (s *Session) Watch(ctx context.Context, base string, cookie []byte, changed func()) error {
	var start func() ldap.Response
	switch {
	case s.facts.Kind == RFC4533:
		r := request(Query{Base: base, Filter: "(objectClass=*)", Attributes: []string{"1.1"}})
		start = func() ldap.Response {
			return s.conn.Syncrepl(ctx, r, 0, ldap.SyncRequestModeRefreshAndPersist, cookie, false)
		}
	case s.facts.Kind == AD && s.facts.Notifies:
		r := request(Query{Base: s.facts.Root, Filter: "(objectClass=*)", Attributes: []string{"objectGUID"}})
		r.Controls = []ldap.Control{ldap.NewControlMicrosoftNotification()}
		start = func() ldap.Response { return s.conn.SearchAsync(ctx, r, 0) }
	default:
		return errors.New("the server does not call when something changes")
	}
	s.conn.SetTimeout(time.Duration(0)) // there is no answer to wait for; the system's keep-alive finds out that the line is dead
	err := s.during(ctx, func() error {
		return s.drain(ctx, start(), func(ldap.Response) error {
			changed()
			return nil
		})
	})
	if err == nil {
		err = fmt.Errorf("%w: the server ended the search", ErrUnavailable)
	}
	return fmt.Errorf("wait for changes: %w", err)
}

// Watches says whether Watch can be used.
func (f Facts) Watches() bool { return f.Kind == RFC4533 || f.Kind == AD && f.Notifies }
