package localapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tapline/proto/wire"
)

// maxBody bounds a request, over HTTP and over gRPC.
const maxBody = 64 << 10

// decode reads a request from a JSON object. What is wrong is said by the name of the field and never by what it held, which may be a PIN. An empty
// body is an empty object.
func decode(body io.Reader, into proto.Message) error {
	raw, err := io.ReadAll(body)
	if err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return err
		}
		return wire.E(wire.Invalid, "body: could not be read")
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return wire.E(wire.Invalid, "body: must be one JSON object")
	}
	seen := map[protoreflect.Name]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return wire.E(wire.Invalid, "body: not JSON")
		}
		name, _ := key.(string) // what comes before a value in an object is always a string
		if err := decodeField(d, into, name, seen); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return wire.E(wire.Invalid, "body: not JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return wire.E(wire.Invalid, "body: must be one JSON object, with nothing behind it")
	}
	return nil
}

func decodeField(d *json.Decoder, into proto.Message, name string, seen map[protoreflect.Name]bool) error {
	fields := into.ProtoReflect().Descriptor().Fields()
	f := fields.ByName(protoreflect.Name(name))
	if f == nil {
		f = fields.ByJSONName(name)
	}
	if f == nil {
		return wire.E(wire.Invalid, "body: it has the field %s, which this call does not know; it knows %s", quote(name), fieldNames(fields))
	}
	if seen[f.Name()] {
		return wire.E(wire.Invalid, "%s: given twice", f.Name())
	}
	seen[f.Name()] = true
	var value json.RawMessage
	if err := d.Decode(&value); err != nil {
		return wire.E(wire.Invalid, "%s: not JSON", f.Name())
	}
	one, err := json.Marshal(map[string]json.RawMessage{f.JSONName(): value})
	if err != nil {
		return wire.E(wire.Invalid, "%s: not JSON", f.Name())
	}
	part := into.ProtoReflect().New().Interface()
	if err := protojson.Unmarshal(one, part); err != nil { // its text quotes the value
		return wire.E(wire.Invalid, "%s: want %s", f.Name(), kindWords(f))
	}
	proto.Merge(into, part)
	return nil
}

func fieldNames(fields protoreflect.FieldDescriptors) string {
	if fields.Len() == 0 {
		return "none"
	}
	var names []string
	for i := range fields.Len() {
		names = append(names, string(fields.Get(i).Name()))
	}
	return strings.Join(names, ", ")
}

// kindWords is what a field must hold, as JSON has it.
func kindWords(f protoreflect.FieldDescriptor) string {
	switch f.Kind() {
	case protoreflect.StringKind:
		return "a string"
	case protoreflect.BytesKind:
		return "a string of base64"
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return "an object"
	case protoreflect.EnumKind:
		return "one of the names of " + string(f.Enum().Name())
	default:
		return "a number"
	}
}
