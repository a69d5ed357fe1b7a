package scim

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
	scimfilter "github.com/elimity-com/scim/filter"
	"github.com/elimity-com/scim/schema"
	"github.com/scim2/filter-parser/v2"
)

// patch carries one operation out on a resource's attributes (RFC 7644, section 3.5.2). The library has checked path and value against the schemas.
func patch(a attributes, op scim.PatchOperation, main schema.Schema, extensions ...schema.Schema) error {
	p := patcher{op: strings.ToLower(op.Op), main: main, extensions: extensions}
	if op.Path != nil {
		return p.at(a, *op.Path, op.Value)
	}
	values, ok := op.Value.(map[string]any)
	if !ok {
		return problem(http.StatusBadRequest, scimerrors.ScimTypeInvalidValue, "an operation without a path needs an object as its value")
	}
	for key, v := range values {
		if inner, ok := v.(map[string]any); ok && p.extension(key) != nil { // a whole extension
			for name, value := range inner {
				uri := key
				if err := p.at(a, filter.Path{AttributePath: filter.AttributePath{URIPrefix: &uri, AttributeName: name}}, value); err != nil {
					return err
				}
			}
			continue
		}
		path, err := filter.ParsePath([]byte(key))
		if err != nil {
			return problem(http.StatusBadRequest, scimerrors.ScimTypeInvalidPath, "%.64q is no attribute", key)
		}
		if err := p.at(a, path, v); err != nil {
			return err
		}
	}
	return nil
}

type patcher struct {
	op         string
	main       schema.Schema
	extensions []schema.Schema
}

func (p patcher) extension(uri string) *schema.Schema {
	for _, e := range p.extensions {
		if strings.EqualFold(e.ID, uri) {
			return &e
		}
	}
	return nil
}

// at carries the operation out at a path.
func (p patcher) at(a attributes, path filter.Path, value any) error {
	in, s := a, p.main
	if e := p.extension(path.AttributePath.URI()); e != nil {
		s = *e
		inner, ok := a[e.ID].(map[string]any)
		if !ok {
			inner = attributes{}
		}
		defer func() { // after the operation, so that an empty extension is not kept
			if delete(a, e.ID); len(inner) > 0 {
				a[e.ID] = inner
			}
		}()
		in = inner
	}
	attr, ok := s.Attributes.ContainsAttribute(path.AttributePath.AttributeName)
	if !ok && s.ID == p.main.ID && strings.EqualFold(path.AttributePath.AttributeName, "externalId") {
		p.single(in, "externalId", value)
		return nil
	}
	if !ok {
		return problem(http.StatusBadRequest, scimerrors.ScimTypeInvalidPath, "there is no attribute %s", path.AttributePath.AttributeName)
	}
	if attr.Mutability() == "readOnly" {
		return problem(http.StatusBadRequest, scimerrors.ScimTypeMutability, "%s cannot be written", attr.Name())
	}
	sub := path.AttributePath.SubAttributeName()
	if path.SubAttribute != nil {
		sub = *path.SubAttribute
	}
	if sub != "" {
		inner, ok := attr.SubAttributes().ContainsAttribute(sub)
		if !ok {
			return problem(http.StatusBadRequest, scimerrors.ScimTypeInvalidPath, "%s has no %s", attr.Name(), sub)
		}
		sub = inner.Name()
	}
	switch {
	case path.ValueExpression != nil:
		return p.some(in, attr, path.ValueExpression, sub, value)
	case sub != "" && !attr.MultiValued():
		inner, ok := in[attr.Name()].(map[string]any)
		if !ok {
			inner = attributes{}
		}
		p.single(inner, sub, value)
		if delete(in, attr.Name()); len(inner) > 0 {
			in[attr.Name()] = inner
		}
	case sub != "":
		for _, e := range elements(in, attr.Name()) {
			p.single(e, sub, value)
		}
	case attr.MultiValued():
		p.many(in, attr.Name(), value)
	default:
		p.single(in, attr.Name(), value)
	}
	return nil
}

// single sets or removes one value. A complex value is merged into the one that is there.
func (p patcher) single(in attributes, name string, value any) {
	if p.op == scim.PatchOperationRemove || value == nil {
		delete(in, name)
		return
	}
	given, complex := value.(map[string]any)
	have, there := in[name].(map[string]any)
	if !complex || !there {
		in[name] = value
		return
	}
	for k, v := range given {
		have[k] = v
	}
}

// many adds to, replaces or removes from a list.
func (p patcher) many(in attributes, name string, value any) {
	have, _ := in[name].([]any)
	given, ok := value.([]any)
	if !ok && value != nil {
		given = []any{value}
	}
	switch {
	case p.op == scim.PatchOperationReplace:
		have = given
	case p.op == scim.PatchOperationRemove && len(given) == 0:
		have = nil
	case p.op == scim.PatchOperationRemove: // Entra ID and Okta name the values to remove
		var kept []any
		for _, h := range have {
			if !within(given, h) {
				kept = append(kept, h)
			}
		}
		have = kept
	default:
		for _, g := range given {
			if !within(have, g) {
				have = append(have, g)
			}
		}
	}
	if delete(in, name); len(have) > 0 {
		in[name] = have
	}
}

// within says whether a list has an entry: one with the same value, if it has one.
func within(list []any, entry any) bool {
	for _, e := range list {
		a, ok1 := e.(map[string]any)
		b, ok2 := entry.(map[string]any)
		if ok1 && ok2 && a["value"] != nil && a["value"] == b["value"] && (a["type"] == nil || b["type"] == nil || a["type"] == b["type"]) {
			return true
		}
		if reflect.DeepEqual(e, entry) {
			return true
		}
	}
	return false
}

// elements are the entries of a list that are objects.
func elements(in attributes, name string) []attributes {
	list, _ := in[name].([]any)
	var all []attributes
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

// some carries the operation out on the entries of a list that pass a filter, such as emails[type eq "work"].
func (p patcher) some(in attributes, attr schema.CoreAttribute, expression filter.Expression, sub string, value any) error {
	v := scimfilter.NewFilterValidator(expression, schema.Schema{Attributes: attr.SubAttributes()})
	list, _ := in[attr.Name()].([]any)
	var kept []any
	found := false
	for _, e := range list {
		m, ok := e.(map[string]any)
		if !ok || v.PassesFilter(m) != nil {
			kept = append(kept, e)
			continue
		}
		found = true
		switch {
		case sub != "":
			p.single(m, sub, value)
		case p.op == scim.PatchOperationRemove:
			continue
		default:
			if given, ok := value.(map[string]any); ok {
				for k, x := range given {
					m[k] = x
				}
			}
		}
		if len(m) > 0 {
			kept = append(kept, m)
		}
	}
	if !found && p.op != scim.PatchOperationRemove {
		m := attributes{}
		equals(m, expression)
		if given, ok := value.(map[string]any); ok && sub == "" {
			for k, x := range given {
				m[k] = x
			}
		} else if sub != "" {
			m[sub] = value
		}
		if len(m) == 0 {
			return problem(http.StatusBadRequest, scimerrors.ScimTypeNoTarget, "%s has no such entry", attr.Name())
		}
		kept = append(kept, m)
	}
	if delete(in, attr.Name()); len(kept) > 0 {
		in[attr.Name()] = kept
	}
	return nil
}

// equals takes over what a filter says an entry equals, for an entry that is made by it.
func equals(m attributes, expression filter.Expression) {
	switch e := expression.(type) {
	case *filter.AttributeExpression:
		if e.Operator == filter.EQ && e.CompareValue != nil {
			m[e.AttributePath.AttributeName] = e.CompareValue
		}
	case *filter.LogicalExpression:
		if e.Operator == filter.AND {
			equals(m, e.Left)
			equals(m, e.Right)
		}
	}
}
