package scim

import (
	"errors"
	"net/http"
	"slices"

	"github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/schema"
	"github.com/google/uuid"

	"tapline/broker/roster"
	"tapline/broker/store"
)

// groups is what the library asks of groups.
type groups struct{ *Server }

// memberIDs takes the members out of a group's attributes.
func memberIDs(a attributes) ([]string, error) {
	list, _ := a["members"].([]any)
	delete(a, "members")
	var ids []string
	for _, entry := range list {
		m, _ := entry.(map[string]any)
		id := text(m, "value")
		if id == "" {
			return nil, problem(http.StatusBadRequest, scimerrors.ScimTypeInvalidValue, "members: an entry has no value")
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) > maxMembers {
		return nil, problem(http.StatusBadRequest, scimerrors.ScimTypeTooMany, "members: more than %d", maxMembers)
	}
	return ids, nil
}

// withMembers adds the members to a group's attributes.
func withMembers(a attributes, ids []string) attributes {
	list := make([]any, 0, len(ids))
	for _, id := range ids {
		list = append(list, map[string]any{"value": id, "type": "User", "$ref": "Users/" + id})
	}
	if delete(a, "members"); len(list) > 0 {
		a["members"] = list
	}
	return a
}

// read reads a group with its members.
func (g groups) read(tx *store.Tx, id string) (store.ScimResource, attributes, []string, error) {
	row, err := tx.Scim(store.ScimGroup, id)
	if err != nil {
		return row, nil, nil, err
	}
	a, err := decode(row)
	if err != nil {
		return row, nil, nil, err
	}
	members, err := tx.ScimMembers(id, "")
	ids := make([]string, 0, len(members))
	for _, m := range members {
		ids = append(ids, m.User)
	}
	return row, a, ids, err
}

// Create makes a group.
func (g groups) Create(r *http.Request, given scim.ResourceAttributes) (scim.Resource, error) {
	a, err := plain(given)
	if err != nil {
		return scim.Resource{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return scim.Resource{}, g.mapped(err, "")
	}
	return g.write(r, "ScimCreateGroup", id.String(), func(_ store.ScimResource, _ attributes) (attributes, error) { return a, nil })
}

// Get gives a group.
func (g groups) Get(r *http.Request, id string) (scim.Resource, error) {
	var out scim.Resource
	err := g.view(r, func(tx *store.Tx) error {
		row, a, ids, err := g.read(tx, id)
		if err == nil {
			out = resource(r, row, withMembers(a, ids))
		}
		return err
	})
	return out, g.mapped(err, id)
}

// GetAll lists groups.
func (g groups) GetAll(r *http.Request, params scim.ListRequestParams) (scim.Page, error) {
	var all []scim.Resource
	err := g.view(r, func(tx *store.Tx) error {
		rows, err := find(tx, store.ScimGroup, params, "displayName")
		if err != nil {
			return err
		}
		for _, row := range rows {
			_, a, ids, err := g.read(tx, row.ID)
			if err != nil {
				return err
			}
			if a = withMembers(a, ids); passes(params, row, a) {
				all = append(all, resource(r, row, a))
			}
		}
		return nil
	})
	if err != nil {
		return scim.Page{}, g.mapped(err, "")
	}
	return page(params, all), nil
}

// Replace replaces a group.
func (g groups) Replace(r *http.Request, id string, given scim.ResourceAttributes) (scim.Resource, error) {
	a, err := plain(given)
	if err != nil {
		return scim.Resource{}, err
	}
	return g.write(r, "ScimReplaceGroup", id, func(row store.ScimResource, _ attributes) (attributes, error) {
		if row.Version == 0 {
			return nil, store.ErrNotFound
		}
		return a, nil
	})
}

// Patch changes a group.
func (g groups) Patch(r *http.Request, id string, operations []scim.PatchOperation) (scim.Resource, error) {
	return g.write(r, "ScimPatchGroup", id, func(row store.ScimResource, a attributes) (attributes, error) {
		if row.Version == 0 {
			return nil, store.ErrNotFound
		}
		for _, op := range operations {
			if err := patch(a, op, schema.CoreGroupSchema()); err != nil {
				return nil, err
			}
		}
		return plain(a)
	})
}

// Delete removes a group; the people in it lose its role.
func (g groups) Delete(r *http.Request, id string) error {
	_, err := g.write(r, "ScimDeleteGroup", id, func(row store.ScimResource, _ attributes) (attributes, error) {
		if row.Version == 0 {
			return nil, store.ErrNotFound
		}
		return nil, nil
	})
	return err
}

// write writes what to makes of a group, nil to delete it, and the roles that follow from it; once more if somebody else wrote meanwhile.
func (g groups) write(r *http.Request, method, id string, to func(store.ScimResource, attributes) (attributes, error)) (scim.Resource, error) {
	for try := 1; ; try++ {
		out, err := g.writeOnce(r, method, id, to)
		if errors.Is(err, store.ErrRevision) && try < 5 && r.Header.Get("If-Match") == "" {
			continue
		}
		return out, g.mapped(err, id)
	}
}

func (g groups) writeOnce(r *http.Request, method, id string, to func(store.ScimResource, attributes) (attributes, error)) (scim.Resource, error) {
	c, err := g.prepare(r, id, to)
	if err != nil {
		return scim.Resource{}, err
	}
	// Not strict: a member who was handed over to another source keeps their roles, and the group is still what the client says.
	err = g.apply(r, method, roster.Listing{Fields: roster.Roles, People: c.people}, false, func(tx *store.Tx) error {
		count, err := tx.Next(groupChanges, 1)
		if err != nil {
			return err
		}
		if count != c.count+1 {
			return store.ErrRevision // roles were worked out from groups that are no longer so
		}
		for user, in := range c.members {
			if err := tx.PutScimMember(store.ScimMembership{Group: id, User: user}, in); err != nil {
				return err
			}
		}
		if c.gone {
			return tx.DeleteScim(store.ScimGroup, id)
		}
		return tx.PutScim(c.row)
	})
	if err != nil || c.gone {
		return scim.Resource{}, err
	}
	return resource(r, c.row, withMembers(c.attributes, c.ids)), nil
}

// groupChanges counts changes of groups.
const groupChanges = "scim groups"

// change is what is written of a group.
type change struct {
	row        store.ScimResource
	attributes attributes
	ids        []string
	members    map[string]bool // who comes and who goes
	people     []roster.Person
	gone       bool
	count      uint64
}

// prepare works out a change of a group, and the roles of everybody whom it concerns.
func (g groups) prepare(r *http.Request, id string, to func(store.ScimResource, attributes) (attributes, error)) (change, error) {
	c := change{members: map[string]bool{}}
	err := g.view(r, func(tx *store.Tx) error {
		var err error
		if c.count, err = tx.Count(groupChanges); err != nil {
			return err
		}
		row, a, had, err := g.read(tx, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if row.Version > 0 {
			if err := matches(r, row); err != nil {
				return err
			}
		}
		before := text(a, "displayName")
		if a != nil {
			a = withMembers(a, had)
		}
		after, err := to(row, a)
		if err != nil {
			return err
		}
		c.gone = after == nil
		if !c.gone {
			if c.ids, err = memberIDs(after); err != nil {
				return err
			}
			if c.row, err = g.encode(store.ScimGroup, id, after); err != nil {
				return err
			}
			if c.row.Version = row.Version + 1; row.Version > 0 {
				c.row.MadeAt = row.MadeAt
			}
		}
		c.attributes = after
		return g.concerned(tx, &c, id, had, before != text(after, "displayName"))
	})
	return c, err
}

// concerned works out who comes, who goes, and the roles of all whom that concerns.
func (g groups) concerned(tx *store.Tx, c *change, id string, had []string, renamed bool) error {
	for _, u := range had {
		if !slices.Contains(c.ids, u) {
			c.members[u] = false
		}
	}
	known := map[string]bool{}
	for _, u := range had {
		known[u] = true
	}
	for _, u := range c.ids {
		if !known[u] {
			c.members[u] = true
		}
	}
	all := make([]string, 0, len(c.members))
	for u := range c.members {
		all = append(all, u)
	}
	if renamed {
		all = append(all, c.ids...)
	}
	slices.Sort(all)
	for _, u := range slices.Compact(all) {
		row, err := tx.Scim(store.ScimUser, u)
		if errors.Is(err, store.ErrNotFound) && c.members[u] {
			return problem(http.StatusBadRequest, scimerrors.ScimTypeInvalidValue, "members: there is no user %s", u)
		}
		if err != nil {
			return err
		}
		a, err := decode(row)
		if err != nil {
			return err
		}
		rows, called, err := groupsOf(tx, u)
		if err != nil {
			return err
		}
		var names []string
		for i, other := range rows {
			if other.ID != id {
				names = append(names, called[i])
			}
		}
		if slices.Contains(c.ids, u) {
			names = append(names, text(c.attributes, "displayName"))
		}
		c.people = append(c.people, g.person(u, a, names))
	}
	return nil
}
