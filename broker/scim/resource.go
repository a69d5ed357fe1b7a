package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/optional"
	"github.com/scim2/filter-parser/v2"

	"tapline/broker/roster"
	"tapline/broker/store"
	"tapline/proto/wire"
)

// attributes are a resource's, as JSON has them.
type attributes = map[string]any

// problem is an error in SCIM's form.
func problem(status int, kind scimerrors.ScimType, format string, args ...any) error {
	return scimerrors.ScimError{Status: status, ScimType: kind, Detail: fmt.Sprintf(format, args...)}
}

func notFound(id string) error { return scimerrors.ScimErrorResourceNotFound(id) }

// mapped gives an error of ours its form. What a client cannot mend is logged and not told.
func (s *Server) mapped(err error, id string) error {
	var already scimerrors.ScimError
	switch {
	case err == nil, errors.As(err, &already):
		return err
	case errors.Is(err, store.ErrNotFound):
		return notFound(id)
	case errors.Is(err, store.ErrExists):
		return problem(http.StatusConflict, scimerrors.ScimTypeUniqueness, "the name is taken")
	case errors.Is(err, store.ErrRevision):
		return problem(http.StatusPreconditionFailed, "", "the resource was changed meanwhile")
	case wire.KindOf(err) == wire.Invalid:
		return problem(http.StatusBadRequest, scimerrors.ScimTypeInvalidValue, "%s", err)
	}
	s.Log.Error("a SCIM request failed", zapError(err))
	return problem(http.StatusInternalServerError, "", "the request could not be served")
}

// version is an entity tag.
func version(n uint64) string { return fmt.Sprintf(`W/"%d"`, n) }

// matches holds a resource against If-Match (RFC 7644, section 3.14).
func matches(r *http.Request, row store.ScimResource) error {
	want := r.Header.Get("If-Match")
	if want == "" || want == "*" {
		return nil
	}
	for tag := range strings.SplitSeq(want, ",") {
		if tag = strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`); tag == strconv.FormatUint(row.Version, 10) {
			return nil
		}
	}
	return problem(http.StatusPreconditionFailed, "", "the resource has the version %s", version(row.Version))
}

func decode(row store.ScimResource) (attributes, error) {
	a := attributes{}
	if err := json.Unmarshal([]byte(row.Doc), &a); err != nil {
		return nil, fmt.Errorf("read scim %s: %w", row.Kind, err)
	}
	return a, nil
}

// encode makes a row of attributes. The caller sets the version.
func (s *Server) encode(kind, id string, a attributes) (store.ScimResource, error) {
	row := store.ScimResource{Kind: kind, ID: id, MadeAt: s.now(), ChangedAt: s.now()}
	nameOf := map[string]string{store.ScimUser: "userName", store.ScimGroup: "displayName"}[kind]
	name, _ := a[nameOf].(string)
	if row.Name = strings.ToLower(strings.TrimSpace(name)); row.Name == "" || len(row.Name) > 256 {
		return row, problem(http.StatusBadRequest, scimerrors.ScimTypeInvalidValue, "%s: 1 to 256 characters", nameOf)
	}
	doc, err := json.Marshal(a)
	if err != nil {
		return row, problem(http.StatusBadRequest, scimerrors.ScimTypeInvalidValue, "the attributes cannot be kept")
	}
	row.Doc = string(doc)
	return row, nil
}

// resource is a row as the library answers with it. Attributes that the request does not want are left out (RFC 7644, section 3.9).
func resource(r *http.Request, row store.ScimResource, a attributes) scim.Resource {
	made, changed := row.MadeAt, row.ChangedAt
	out := scim.Resource{ID: row.ID, Meta: scim.Meta{Created: &made, LastModified: &changed, Version: version(row.Version)}}
	wanted := names(r.URL.Query().Get("attributes"))
	unwanted := names(r.URL.Query().Get("excludedAttributes"))
	out.Attributes = scim.ResourceAttributes{}
	for k, v := range a {
		name := strings.ToLower(k)
		if len(wanted) > 0 && !slices.Contains(wanted, name) || slices.Contains(unwanted, name) {
			continue
		}
		if k == "externalId" {
			if text, ok := v.(string); ok && text != "" {
				out.ExternalID = optional.NewString(text)
			}
			continue
		}
		out.Attributes[k] = v
	}
	return out
}

// names are attributes in small letters, without what stands behind a dot.
func names(list string) []string {
	var all []string
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.ToLower(strings.TrimSpace(part)); part != "" {
			if !strings.HasPrefix(part, "urn:") {
				part, _, _ = strings.Cut(part, ".")
			}
			all = append(all, part)
		}
	}
	return all
}

// page cuts a page out of what passes the filter.
func page(params scim.ListRequestParams, all []scim.Resource) scim.Page {
	first := min(params.StartIndex-1, len(all))
	last := min(first+params.Count, len(all))
	return scim.Page{TotalResults: len(all), Resources: append([]scim.Resource{}, all[first:last]...)}
}

// asked is the name that a filter of the form userName eq "x" asks for; false for every other filter.
func asked(params scim.ListRequestParams, attribute string) (string, bool) {
	if params.FilterValidator == nil {
		return "", false
	}
	e, ok := params.FilterValidator.GetFilter().(*filter.AttributeExpression)
	if !ok || e.Operator != filter.EQ || !strings.EqualFold(e.AttributePath.AttributeName, attribute) || e.AttributePath.SubAttribute != nil {
		return "", false
	}
	name, ok := e.CompareValue.(string)
	return strings.ToLower(strings.TrimSpace(name)), ok
}

// passes holds a resource against the filter.
func passes(params scim.ListRequestParams, row store.ScimResource, a attributes) bool {
	if params.FilterValidator == nil {
		return true
	}
	seen := attributes{"id": row.ID, "meta": map[string]any{
		"created": row.MadeAt.Format("2006-01-02T15:04:05Z"), "lastModified": row.ChangedAt.Format("2006-01-02T15:04:05Z"),
	}}
	for k, v := range a {
		seen[k] = v
	}
	return params.FilterValidator.PassesFilter(seen) == nil
}

// apply takes a listing over in a client's name, with the rows that go with it.
func (s *Server) apply(r *http.Request, method string, l roster.Listing, strict bool, with func(*store.Tx) error) error {
	l.Source = roster.SCIM
	out, err := s.Roster.Apply(r.Context(), l, roster.Rules{
		Strict: strict, Force: true, Method: method, Actor: "scim/" + client(r), Also: with, Always: true,
	})
	if err != nil && strict && len(out.Conflicts) > 0 {
		c := out.Conflicts[0]
		if c.Field == "id" {
			return problem(http.StatusConflict, scimerrors.ScimTypeUniqueness, "person %s", c.What)
		}
		return problem(http.StatusBadRequest, scimerrors.ScimTypeInvalidValue, "%s: %s", c.Field, c.What)
	}
	return err
}
