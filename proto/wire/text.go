package wire

import (
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// CheckText wants every text of a request, however deep it lies, to be UTF-8 without NUL. The error is of the kind Invalid and names the field.
//
// A NUL is a character to SQLite and none to PostgreSQL, so what held one would be taken by one broker and fail inside another.
func CheckText(m proto.Message) error {
	if at := badText(m.ProtoReflect()); at != "" {
		return E(Invalid, "%s: text holds a NUL or is not UTF-8; leave that out", at)
	}
	return nil
}

// badText is the way to the first field whose text is none; empty if all is good. Entries of lists and maps go by their field's name.
func badText(m protoreflect.Message) (at string) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := string(f.Name())
		see := func(of protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch of.Kind() {
			case protoreflect.StringKind:
				if s := v.String(); strings.Contains(s, "\x00") || !utf8.ValidString(s) {
					at = name
				}
			case protoreflect.MessageKind, protoreflect.GroupKind:
				if in := badText(v.Message()); in != "" {
					at = name + "." + in
				}
			}
			return at == ""
		}
		switch {
		case f.IsMap():
			v.Map().Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
				return see(f.MapKey(), key.Value()) && see(f.MapValue(), v)
			})
		case f.IsList():
			for i := range v.List().Len() {
				if !see(f, v.List().Get(i)) {
					break
				}
			}
		default:
			see(f, v)
		}
		return at == ""
	})
	return at
}
