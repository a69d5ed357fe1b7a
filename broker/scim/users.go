package scim

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/schema"
	"go.uber.org/zap"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/directory"
	"tapline/broker/roster"
	"tapline/broker/store"
	"tapline/proto/record"
)

func zapError(err error) zap.Field { return zap.Error(err) }

// enterprise is the URI of the extension that has the employee number.
const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// spoken are the fields that SCIM speaks of.
const spoken = roster.DisplayName | roster.Language | roster.Roles | roster.Suspended

// users is what the library asks of users.
type users struct{ *Server }

// personID is the ID of the person that a new user becomes.
func (s *Server) personID(a attributes) (string, error) {
	var id, from string
	switch s.Config.PersonID {
	case ByUserName:
		id, from = text(a, "userName"), "userName"
	case ByExternalID:
		id, from = text(a, "externalId"), "externalId"
	case ByEmployeeNumber:
		extension, _ := a[enterprise].(map[string]any)
		id, from = text(extension, "employeeNumber"), "employeeNumber"
	}
	if err := directory.CheckPerson(&taplinev1.PersonEntry{Id: id}); err != nil {
		_, what := directory.FieldOf(err)
		return "", problem(http.StatusBadRequest, scimerrors.ScimTypeInvalidValue, "%s becomes the person's ID: %s", from, what)
	}
	return id, nil
}

func text(a attributes, name string) string {
	t, _ := a[name].(string)
	return strings.TrimSpace(t)
}

// person is what a user says of a person.
func (s *Server) person(id string, a attributes, groupNames []string) roster.Person {
	name, _ := a["name"].(map[string]any)
	e := &taplinev1.PersonEntry{
		Id: id, Language: text(a, "preferredLanguage"), Roles: s.roles(a, groupNames),
		DisplayName: cmp.Or(text(a, "displayName"), text(name, "formatted"), strings.TrimSpace(text(name, "givenName")+" "+text(name, "familyName")), text(a, "userName")),
	}
	if active, ok := a["active"].(bool); ok && !active {
		e.Suspended = true
	}
	return roster.Person{Entry: e, At: "user"}
}

// roles are those of the groups, and those that the user itself has.
func (s *Server) roles(a attributes, groupNames []string) []string {
	var all []string
	for _, g := range groupNames {
		role, known := s.Config.Groups[g]
		if len(s.Config.Groups) == 0 {
			role, known = g, true
		}
		if known {
			all = append(all, role)
		}
	}
	list, _ := a["roles"].([]any)
	for _, entry := range list {
		if m, ok := entry.(map[string]any); ok && text(m, "value") != "" {
			all = append(all, text(m, "value"))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// groupsOf are the groups that a user is in.
func groupsOf(tx *store.Tx, id string) ([]store.ScimResource, []string, error) {
	members, err := tx.ScimMembers("", id)
	if err != nil {
		return nil, nil, err
	}
	var rows []store.ScimResource
	var called []string
	for _, m := range members {
		row, err := tx.Scim(store.ScimGroup, m.Group)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		a, err := decode(row)
		if err != nil {
			return nil, nil, err
		}
		rows, called = append(rows, row), append(called, text(a, "displayName"))
	}
	return rows, called, nil
}

// withGroups adds the groups that a user is in, which only groups can change.
func withGroups(tx *store.Tx, id string, a attributes) (attributes, error) {
	rows, called, err := groupsOf(tx, id)
	list := []any{}
	for i, row := range rows {
		list = append(list, map[string]any{"value": row.ID, "display": called[i], "type": "direct", "$ref": "Groups/" + row.ID})
	}
	if delete(a, "groups"); len(list) > 0 {
		a["groups"] = list
	}
	return a, err
}

// plain turns what the library made of a body into what JSON has, and drops what is never kept.
func plain(a scim.ResourceAttributes) (attributes, error) {
	b, err := json.Marshal(a)
	if err != nil {
		return nil, problem(http.StatusBadRequest, scimerrors.ScimTypeInvalidSyntax, "the attributes cannot be read")
	}
	out := attributes{}
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, problem(http.StatusBadRequest, scimerrors.ScimTypeInvalidSyntax, "the attributes cannot be read")
	}
	for _, name := range []string{"password", "groups", "id", "meta", "schemas"} {
		delete(out, name)
	}
	for k, v := range out {
		if v == nil {
			delete(out, k)
		}
	}
	return out, nil
}

// Create makes a user.
func (u users) Create(r *http.Request, given scim.ResourceAttributes) (scim.Resource, error) {
	a, err := plain(given)
	if err != nil {
		return scim.Resource{}, err
	}
	if _, said := a["active"]; !said {
		a["active"] = true
	}
	id, err := u.personID(a)
	if err != nil {
		return scim.Resource{}, err
	}
	row, err := u.encode(store.ScimUser, id, a)
	if err != nil {
		return scim.Resource{}, err
	}
	row.Version = 1
	err = u.apply(r, "ScimCreateUser", roster.Listing{Fields: spoken, People: []roster.Person{u.person(id, a, nil)}}, true, func(tx *store.Tx) error {
		if _, err := tx.Scim(store.ScimUser, id); err == nil {
			return problem(http.StatusConflict, scimerrors.ScimTypeUniqueness, "there is a user %s already", id)
		}
		return tx.PutScim(row)
	})
	if err != nil {
		return scim.Resource{}, u.mapped(err, id)
	}
	return resource(r, row, a), nil
}

// Get gives a user.
func (u users) Get(r *http.Request, id string) (scim.Resource, error) {
	var out scim.Resource
	err := u.view(r, func(tx *store.Tx) error {
		row, err := tx.Scim(store.ScimUser, id)
		if err != nil {
			return err
		}
		a, err := decode(row)
		if err != nil {
			return err
		}
		a, err = withGroups(tx, id, a)
		out = resource(r, row, a)
		return err
	})
	return out, u.mapped(err, id)
}

// GetAll lists users.
func (u users) GetAll(r *http.Request, params scim.ListRequestParams) (scim.Page, error) {
	var all []scim.Resource
	err := u.view(r, func(tx *store.Tx) error {
		rows, err := find(tx, store.ScimUser, params, "userName")
		if err != nil {
			return err
		}
		for _, row := range rows {
			a, err := decode(row)
			if err != nil {
				return err
			}
			if passes(params, row, a) {
				all = append(all, resource(r, row, a))
			}
		}
		return nil
	})
	if err != nil {
		return scim.Page{}, u.mapped(err, "")
	}
	return page(params, all), nil
}

// find reads the rows that a filter may be about.
func find(tx *store.Tx, kind string, params scim.ListRequestParams, nameOf string) ([]store.ScimResource, error) {
	name, ok := asked(params, nameOf)
	if !ok {
		return tx.EveryScim(kind)
	}
	row, err := tx.ScimByName(kind, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return []store.ScimResource{row}, err
}

// Replace replaces a user.
func (u users) Replace(r *http.Request, id string, given scim.ResourceAttributes) (scim.Resource, error) {
	a, err := plain(given)
	if err != nil {
		return scim.Resource{}, err
	}
	if _, said := a["active"]; !said {
		a["active"] = true
	}
	return u.change(r, "ScimReplaceUser", id, func(attributes) (attributes, error) { return a, nil })
}

// Patch changes a user.
func (u users) Patch(r *http.Request, id string, operations []scim.PatchOperation) (scim.Resource, error) {
	return u.change(r, "ScimPatchUser", id, func(a attributes) (attributes, error) {
		for _, op := range operations {
			if err := patch(a, op, schema.CoreUserSchema(), schema.ExtensionEnterpriseUser()); err != nil {
				return nil, err
			}
		}
		return plain(a)
	})
}

// change writes what to makes of a user, once more if somebody else wrote meanwhile.
func (u users) change(r *http.Request, method, id string, to func(attributes) (attributes, error)) (scim.Resource, error) {
	for try := 1; ; try++ {
		out, err := u.changeOnce(r, method, id, to)
		if errors.Is(err, store.ErrRevision) && try < 5 && r.Header.Get("If-Match") == "" {
			continue
		}
		return out, u.mapped(err, id)
	}
}

func (u users) changeOnce(r *http.Request, method, id string, to func(attributes) (attributes, error)) (scim.Resource, error) {
	var row store.ScimResource
	var before attributes
	var called []string
	err := u.view(r, func(tx *store.Tx) (err error) {
		if row, err = tx.Scim(store.ScimUser, id); err != nil {
			return err
		}
		if before, err = decode(row); err != nil {
			return err
		}
		_, called, err = groupsOf(tx, id)
		return err
	})
	if err != nil {
		return scim.Resource{}, err
	}
	if err := matches(r, row); err != nil {
		return scim.Resource{}, err
	}
	a, err := to(before)
	if err != nil {
		return scim.Resource{}, err
	}
	next, err := u.encode(store.ScimUser, id, a)
	if err != nil {
		return scim.Resource{}, err
	}
	next.Version, next.MadeAt = row.Version+1, row.MadeAt
	var shown attributes
	err = u.apply(r, method, roster.Listing{Fields: spoken, People: []roster.Person{u.person(id, a, called)}}, true, func(tx *store.Tx) error {
		if err := tx.PutScim(next); err != nil {
			return err
		}
		var err error
		if shown, err = withGroups(tx, id, a); err == nil && !sameGroups(shown, called) {
			return store.ErrRevision // a group changed meanwhile, and with it the roles
		}
		return err
	})
	return resource(r, next, shown), err
}

func sameGroups(a attributes, called []string) bool {
	list, _ := a["groups"].([]any)
	if len(list) != len(called) {
		return false
	}
	for i, g := range list {
		if g.(map[string]any)["display"] != called[i] {
			return false
		}
	}
	return true
}

// Delete removes a user; the person has left.
func (u users) Delete(r *http.Request, id string) error {
	gone := roster.Listing{Fields: spoken, Gone: []record.PersonID{record.PersonID(id)}}
	return u.mapped(u.apply(r, "ScimDeleteUser", gone, true, func(tx *store.Tx) error {
		row, err := tx.Scim(store.ScimUser, id) // in the update, so that nobody writes between the comparison and the deletion
		if err != nil {
			return err
		}
		if err := matches(r, row); err != nil {
			return err
		}
		return tx.DeleteScim(store.ScimUser, id)
	}), id)
}
