package localapi

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// maxText is how many bytes a text of a request may have, unless its field is in the table below.
const maxText = 255

// longer are the fields that may have more, by their full name.
func longer() map[protoreflect.FullName]int {
	return map[protoreflect.FullName]int{
		"tapline.v1.ClaimEmergencyRequest.note": 2000, // 500 characters
	}
}

// check holds every request, whatever the call, to what can be meant: text that is text, of a bounded length. What a field means is for the call.
func check(req any) error {
	if _, emergency := req.(*taplinev1.BeginEmergencyRequest); emergency {
		return nil // whatever is said with it, the station opens
	}
	m, ok := req.(proto.Message)
	if !ok {
		return nil
	}
	if err := wire.CheckText(m); err != nil {
		return err
	}
	return tooLong(m.ProtoReflect(), "")
}

func tooLong(m protoreflect.Message, way string) (err error) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := way + string(f.Name())
		most, listed := longer()[f.FullName()]
		if !listed {
			most = maxText
		}
		switch {
		case f.IsMap() || f.IsList(): // no request has one; a later one is bounded by the size of the call
		case f.Kind() == protoreflect.StringKind:
			if n := len(v.String()); n > most {
				err = wire.E(wire.Invalid, "%s: %d bytes; at most %d", name, n, most)
			}
		case f.Kind() == protoreflect.BytesKind:
			if n := len(v.Bytes()); n > most {
				err = wire.E(wire.Invalid, "%s: %d bytes; at most %d", name, n, most)
			}
		case f.Message() != nil:
			err = tooLong(v.Message(), name+".")
		}
		return err == nil
	})
	return err
}

// quote is a caller's text in an error: short, and without what a terminal would act on.
func quote(s string) string {
	if len(s) > 40 {
		cut := 40
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "..."
	}
	return fmt.Sprintf("%q", s)
}
