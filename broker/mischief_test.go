package broker

import (
	"math"
	"math/rand/v2"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// many is more entries than any list may have.
const many = 10_001

// mischief makes messages that nobody should send, from those that fit.
type mischief struct {
	*rand.Rand
	fits map[protoreflect.Name]string // text that fits a field of the name
	csr  []byte
}

// spoilt is a message with one thing wrong with it.
type spoilt struct {
	where protoreflect.FullName
	msg   *dynamicpb.Message
}

// fit is a message in which everything is there, and much of it good.
func (m mischief) fit(kind protoreflect.MessageDescriptor, depth int) *dynamicpb.Message {
	msg := dynamicpb.NewMessage(kind)
	if depth > 4 {
		return msg
	}
	for i := range kind.Fields().Len() {
		f := kind.Fields().Get(i)
		if o := f.ContainingOneof(); o != nil && msg.WhichOneof(o) != nil {
			continue
		}
		m.set(msg, f, m.fitting(f, depth))
	}
	return msg
}

// set sets a field, or the one entry of a list or map.
func (m mischief) set(msg *dynamicpb.Message, f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch {
	case f.IsMap():
		msg.Mutable(f).Map().Set(m.fitting(f.MapKey(), 4).MapKey(), m.fitting(f.MapValue(), 4))
	case f.IsList():
		msg.Mutable(f).List().Append(v)
	default:
		msg.Set(f, v)
	}
}

func (m mischief) fitting(f protoreflect.FieldDescriptor, depth int) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if f.IsMap() {
			return protoreflect.Value{}
		}
		if known := wellKnown(f.Message().FullName()); known != nil {
			return as(f.Message(), known[0])
		}
		return protoreflect.ValueOfMessage(m.fit(f.Message(), depth+1))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(m.fits[f.Name()])
	case protoreflect.BytesKind:
		if f.Name() == "csr" {
			return protoreflect.ValueOfBytes(m.csr)
		}
		return protoreflect.ValueOfBytes(anna())
	}
	return number(f, 1)
}

// number is a number as a field holds it.
func number(f protoreflect.FieldDescriptor, n int64) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n%2 != 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(int32(n)))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(n))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(n))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(n))
	}
	return protoreflect.ValueOfInt64(n)
}

// wellKnown are values of times and spans, the first of them good; nil for other messages.
func wellKnown(name protoreflect.FullName) []proto.Message {
	switch name {
	case "google.protobuf.Duration":
		return []proto.Message{
			&durationpb.Duration{Seconds: 3600}, &durationpb.Duration{}, &durationpb.Duration{Seconds: -1}, &durationpb.Duration{Seconds: math.MaxInt64},
			&durationpb.Duration{Seconds: math.MinInt64}, &durationpb.Duration{Seconds: 1, Nanos: -1}, &durationpb.Duration{Nanos: math.MaxInt32},
			&durationpb.Duration{Seconds: 315_576_000_000}, &durationpb.Duration{Nanos: 1},
		}
	case "google.protobuf.Timestamp":
		return []proto.Message{
			timestamppb.Now(), &timestamppb.Timestamp{}, &timestamppb.Timestamp{Seconds: -1}, &timestamppb.Timestamp{Seconds: math.MaxInt64},
			&timestamppb.Timestamp{Seconds: math.MinInt64}, &timestamppb.Timestamp{Nanos: -1}, &timestamppb.Timestamp{Nanos: math.MaxInt32},
			&timestamppb.Timestamp{Seconds: 253_402_300_799}, &timestamppb.Timestamp{Seconds: -62_135_596_800},
		}
	}
	return nil
}

// as is a message of the generated code as one of a descriptor.
func as(kind protoreflect.MessageDescriptor, msg proto.Message) protoreflect.Value {
	out := dynamicpb.NewMessage(kind)
	raw, err := proto.Marshal(msg)
	if err == nil {
		err = proto.Unmarshal(raw, out)
	}
	if err != nil {
		panic(err)
	}
	return protoreflect.ValueOfMessage(out)
}

func texts() []string {
	return []string{
		"", " ", "x", strings.Repeat("x", 64), strings.Repeat("x", 65), strings.Repeat("x", 256), strings.Repeat("x", 257), strings.Repeat("x", 4097), strings.Repeat("ä", 1<<17),
		"a\x00b", "a\nb\x1b[31m", "\u202eanna\u2066", "\ufeff", "../../etc/passwd", "a/b/c/d", "plant/", "/", packing, "p-2", "olga", "-1", "٣", "%s%n%_\\",
		"'; DROP TABLE people; --", "tl1.", "AAAAAA", "1e999", "permit (principal, action, resource) when {" + strings.Repeat("(", 500),
		"0195c0de-0000-7000-8000-000000000001", "00000000-0000-0000-0000-000000000000",
	}
}

func blobs() [][]byte {
	return [][]byte{
		nil,
		{0},
		ben(), []byte("uid\x0032\x00"), []byte("uid\x00-1\x00abcd"),
		{0x30, 0x84, 0xff, 0xff, 0xff, 0xff},
		{0xff, 0xfe, 0xff},
		make([]byte, 32), make([]byte, 65),
		[]byte(strings.Repeat("0\x80", 1<<15)), []byte(strings.Repeat("a;b;\"", 1<<14)), []byte(`{"payload":"` + strings.Repeat("[", 1<<14)),
	}
}

// wrong are the values of a field, or of an entry of it, that nobody should send.
func (m mischief) wrong(f protoreflect.FieldDescriptor) []protoreflect.Value {
	var all []protoreflect.Value
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		for _, known := range wellKnown(f.Message().FullName()) {
			all = append(all, as(f.Message(), known))
		}
		return append(all, protoreflect.ValueOfMessage(dynamicpb.NewMessage(f.Message())))
	case protoreflect.StringKind:
		for _, s := range texts() {
			all = append(all, protoreflect.ValueOfString(s))
		}
		return all
	case protoreflect.BytesKind:
		for _, b := range blobs() {
			all = append(all, protoreflect.ValueOfBytes(b))
		}
		return all
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		for _, n := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64} {
			if f.Kind() == protoreflect.FloatKind {
				all = append(all, protoreflect.ValueOfFloat32(float32(n)))
				continue
			}
			all = append(all, protoreflect.ValueOfFloat64(n))
		}
	}
	for _, n := range []int64{0, -1, 2, 7, 99, 1000, 1 << 31, -1 << 31, 1<<31 - 1, 1<<62 + 5, math.MinInt64, math.MaxInt64} {
		all = append(all, number(f, n))
	}
	return all
}

// spoil gives a message that fits once for each thing that can be wrong with a field of it, at every depth.
func (m mischief) spoil(kind protoreflect.MessageDescriptor, depth int) []spoilt {
	var all []spoilt
	for i := range kind.Fields().Len() {
		f := kind.Fields().Get(i)
		with := func(change func(*dynamicpb.Message)) {
			msg := m.fit(kind, depth)
			msg.Clear(f)
			change(msg)
			all = append(all, spoilt{f.FullName(), msg})
		}
		with(func(*dynamicpb.Message) {}) // it is missing
		if f.IsMap() {
			continue
		}
		for _, v := range m.wrong(f) {
			with(func(msg *dynamicpb.Message) { m.set(msg, f, v) })
		}
		if f.IsList() {
			with(func(msg *dynamicpb.Message) {
				for range many {
					m.set(msg, f, m.fitting(f, depth))
				}
			})
		}
		if f.Message() != nil && wellKnown(f.Message().FullName()) == nil && depth < 4 {
			for _, inner := range m.spoil(f.Message(), depth+1) {
				with(func(msg *dynamicpb.Message) { m.set(msg, f, protoreflect.ValueOfMessage(inner.msg)) })
				all[len(all)-1].where = inner.where
			}
		}
	}
	return all
}

// wild is a message in which about every third field is wrong.
func (m mischief) wild(kind protoreflect.MessageDescriptor, depth int) *dynamicpb.Message {
	msg := m.fit(kind, depth)
	for i := range kind.Fields().Len() {
		f := kind.Fields().Get(i)
		switch wrong := m.wrong; {
		case m.IntN(3) != 0 || f.IsMap():
		case f.Message() != nil && wellKnown(f.Message().FullName()) == nil && depth < 4:
			m.set(msg, f, protoreflect.ValueOfMessage(m.wild(f.Message(), depth+1)))
		default:
			values := wrong(f)
			m.set(msg, f, values[m.IntN(len(values))])
		}
	}
	return msg
}
