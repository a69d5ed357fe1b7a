package broker

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// mischief fills messages with what nobody should send, and now and then with what fits, so that not everything ends at the first check.
type mischief struct {
	*rand.Rand
	fits   map[protoreflect.Name]string // text that fits a field of the name
	wanton int                          // of 10 fields so many are filled wantonly
}

func (m mischief) text() string {
	words := []string{
		"", "anna", "p-1", press, packing, "plant/", "../../etc", "a/b/c/d", strings.Repeat("x", 5000), "\x00", "'; DROP TABLE people; --", "%_\\",
		"0195c0de-0000-7000-8000-000000000001", "01 95", "é\u202e", "-1", "AAAAAA", "tl1.", "permit (principal, action, resource);",
	}
	return words[m.IntN(len(words))]
}

func (m mischief) bytes() []byte {
	switch m.IntN(4) {
	case 0:
		return nil
	case 1:
		return anna()
	case 2:
		return []byte(m.text())
	}
	b := make([]byte, m.IntN(2000))
	for i := range b {
		b[i] = byte(m.Uint32())
	}
	return b
}

// number leans to the edges.
func (m mischief) number() int64 {
	edges := []int64{0, 1, -1, 2, 7, 1000, 1 << 31, -1 << 31, 1<<62 + 5, -1 << 63, 1<<63 - 1}
	return edges[m.IntN(len(edges))]
}

// message is a random message of a kind.
func (m mischief) message(kind protoreflect.MessageDescriptor, depth int) *dynamicpb.Message {
	msg := dynamicpb.NewMessage(kind)
	for i := range kind.Fields().Len() {
		f := kind.Fields().Get(i)
		if m.IntN(4) == 0 || f.Kind() == protoreflect.MessageKind && depth > 4 {
			continue
		}
		switch {
		case f.IsMap():
			mp := msg.Mutable(f).Map()
			for range m.IntN(40) {
				mp.Set(m.value(f.MapKey(), depth).MapKey(), m.value(f.MapValue(), depth))
			}
		case f.IsList():
			l := msg.Mutable(f).List()
			for range m.IntN(4) {
				l.Append(m.value(f, depth))
			}
		default:
			msg.Set(f, m.value(f, depth))
		}
	}
	return msg
}

func (m mischief) value(f protoreflect.FieldDescriptor, depth int) protoreflect.Value {
	switch n := m.number(); f.Kind() {
	case protoreflect.MessageKind:
		return protoreflect.ValueOfMessage(m.message(f.Message(), depth+1))
	case protoreflect.StringKind:
		if fit, ok := m.fits[f.Name()]; ok && m.IntN(10) >= m.wanton {
			return protoreflect.ValueOfString(fit)
		}
		return protoreflect.ValueOfString(strings.ToValidUTF8(m.text(), ""))
	case protoreflect.BytesKind:
		if f.Name() == "number" && m.IntN(10) >= m.wanton {
			return protoreflect.ValueOfBytes(anna())
		}
		return protoreflect.ValueOfBytes(m.bytes())
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n%2 == 0)
	case protoreflect.EnumKind:
		if m.IntN(10) >= m.wanton {
			return protoreflect.ValueOfEnum(1)
		}
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(int32(n)))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(uint64(n))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	default:
		return protoreflect.ValueOfInt64(n)
	}
}

// call makes one call and takes what comes back, up to a few messages of a stream.
func call(t *testing.T, conn *grpc.ClientConn, method protoreflect.MethodDescriptor, req proto.Message) error {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	name := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
	if !method.IsStreamingClient() && !method.IsStreamingServer() {
		return conn.Invoke(ctx, name, req, dynamicpb.NewMessage(method.Output()))
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: method.IsStreamingClient()}, name)
	if err != nil {
		return err
	}
	_ = stream.SendMsg(req) // a stream that was refused says why on receipt
	_ = stream.CloseSend()
	for range 5 {
		if err = stream.RecvMsg(dynamicpb.NewMessage(method.Output())); err != nil {
			break
		}
	}
	return err
}

func TestNoRequestMakesTheBrokerFail(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	tables := []struct {
		file    protoreflect.FileDescriptor
		service protoreflect.Name
		conn    *grpc.ClientConn
	}{
		{taplinev1.File_tapline_v1_station_proto, "StationService", s.conn},
		{taplinev1.File_tapline_v1_admin_proto, "AdminService", p.conn},
		{taplinev1.File_tapline_v1_audit_proto, "AuditService", p.conn},
	}
	m := mischief{Rand: rand.New(rand.NewPCG(20261122, 1)), fits: map[protoreflect.Name]string{
		"id": "p-1", "person": "p-1", "station": press, "chain": s.keys.chain, "session": tap(anna()).GetSession(), "reason": "lost",
		"text": "permit (principal, action, resource);", "account": account, "technology": "iso14443a", "code": "AAAAAA", "language": "en",
		"driver": "none", "name": "press", "zone": "hot", "roles": "operator", "stations": "plant/",
	}}
	for _, table := range tables {
		methods := table.file.Services().ByName(table.service).Methods()
		for i := range methods.Len() {
			method := methods.Get(i)
			t.Run(string(method.Name()), func(t *testing.T) {
				for i := range rounds {
					m.wanton = i % 10
					req := m.message(method.Input(), 0)
					if err := call(t, table.conn, method, req); wire.KindOf(err) == wire.Internal && !errors.Is(err, io.EOF) {
						t.Fatalf("%v\nto %v", err, req)
					}
				}
			})
		}
	}
	if _, err := p.admin.GetHealth(t.Context(), &taplinev1.GetHealthRequest{}); err != nil {
		t.Errorf("the broker afterwards: %v", err)
	}
}
