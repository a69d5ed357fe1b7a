package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"tapline/broker/gate"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

const (
	watched  = 60 * time.Millisecond // how long a stream that goes on is listened to
	hangs    = time.Minute           // a single call that takes as long has hung
	maxFault = 2048                  // bytes of a refusal
)

// rpc is a method of the running broker, and a caller who may call it.
type rpc struct {
	name   string
	method protoreflect.MethodDescriptor
	conn   *grpc.ClientConn
}

// rpcs are all methods of all services that the broker serves, in the order in which the stations' come first: what administrators do can end them.
func rpcs(t testing.TB, p *plant, s *hmi) []rpc {
	t.Helper()
	stranger := p.dial(wire.PinnedTLS(p.token(press).Root, p.clock.now))
	var all []rpc
	services := p.run.server.GetServiceInfo()
	names := slices.Sorted(maps.Keys(services))
	slices.SortStableFunc(names, func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
	for _, service := range names {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
		if err != nil {
			t.Fatalf("%s: %v", service, err)
		}
		methods := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			r := rpc{name: "/" + service + "/" + string(methods.Get(i).Name()), method: methods.Get(i), conn: p.conn}
			switch {
			case !gate.Listed(r.name):
				t.Errorf("%s has no row in broker/gate/table.go", r.name)
			case gate.Open(r.name):
				r.conn = stranger
			case slices.Contains(gate.Opens(wire.RoleStation), r.name):
				r.conn = s.conn
			case strings.HasPrefix(service, "tapline.") && !slices.Contains(gate.Opens(wire.RoleAdmin), r.name):
				t.Errorf("%s: neither a station nor an administrator may call it", r.name)
			}
			all = append(all, r)
		}
	}
	return all
}

func rank(service string) string {
	if service == taplinev1.StationService_ServiceDesc.ServiceName {
		return "0"
	}
	return "1"
}

// call makes one call and takes what comes back, up to a few messages of a stream.
func (r rpc) call(ctx context.Context, req proto.Message) error {
	streams := r.method.IsStreamingClient() || r.method.IsStreamingServer()
	limit := hangs
	if streams {
		limit = watched
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if !streams {
		return r.conn.Invoke(ctx, r.name, req, dynamicpb.NewMessage(r.method.Output()))
	}
	stream, err := r.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: r.method.IsStreamingClient()}, r.name)
	if err != nil {
		return err
	}
	_ = stream.SendMsg(req) // a stream that was refused says why on receipt
	_ = stream.CloseSend()
	for range 5 {
		if err = stream.RecvMsg(dynamicpb.NewMessage(r.method.Output())); err != nil {
			break
		}
	}
	switch {
	case errors.Is(err, io.EOF), wire.KindOf(err) == wire.Deadline:
		return nil
	}
	return err
}

// lawful says what is wrong with an answer; nil if it is as it must be.
func (r rpc) lawful(err error) error {
	text := status.Convert(err).Message()
	switch kind := wire.KindOf(err); {
	case kind == wire.None:
		return nil
	case kind == wire.Internal:
		return errors.New("the broker failed")
	case kind == wire.Deadline:
		return errors.New("the call hung")
	case len(text) > maxFault:
		return fmt.Errorf("the refusal has %d bytes", len(text))
	case strings.ContainsFunc(text, func(c rune) bool { return c != '\n' && unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) }):
		return errors.New("the refusal hands on control characters")
	case kind == wire.Invalid && strings.HasPrefix(r.name, "/tapline."):
		return namesField(r.method.Input(), text)
	}
	return nil
}

// namesField reports how the text of a refusal does not begin with fields of the request: "station.id: ..." or "session, person: ...".
func namesField(kind protoreflect.MessageDescriptor, text string) error {
	fields, _, ok := strings.Cut(text, ":")
	if !ok {
		return errors.New("the refusal names no field")
	}
	for _, path := range strings.Split(fields, ", ") {
		at := kind
		for name := range strings.SplitSeq(path, ".") {
			if at == nil || at.Fields().ByName(protoreflect.Name(name)) == nil {
				return fmt.Errorf("the refusal names %q, which %s has not", path, kind.FullName())
			}
			at = at.Fields().ByName(protoreflect.Name(name)).Message()
		}
	}
	return nil
}

// fits is what fits the plant of a test.
func fits(t testing.TB, s *hmi) mischief {
	return mischief{Rand: rand.New(rand.NewPCG(20261122, 1)), csr: csrOf(t, newKeys(t).tls), fits: map[protoreflect.Name]string{
		"id": "p-1", "person": "p-1", "station": press, "chain": s.keys.chain, "session": tap(anna()).GetSession(), "reason": "lost",
		"text": "permit (principal, action, resource);", "account": account, "technology": "iso14443a", "code": "AAAAAA", "language": "en",
		"driver": "none", "name": "press", "zone": "hot", "roles": "operator", "stations": "plant/", "role": "auditor", "time_zone": "UTC",
		"display_name": "Anna B.", "source": "local", "separator": ";", "first_day": "2026-11-25", "last_day": "2026-11-26", "step": "init",
		"types": "station.heartbeat", "pin": "4711", "path": "tile/0/000",
	}}
}

// stock makes anew what a call may have taken away; what is there still is refused.
func (p *plant) stock(ctx context.Context) {
	_, _ = p.admin.PutAccount(ctx, &taplinev1.PutAccountRequest{Account: &taplinev1.Account{Id: account, Driver: "none", Stations: []string{"plant/"}}})
	_, _ = p.admin.PutStation(ctx, &taplinev1.PutStationRequest{Station: &taplinev1.Station{Id: press, Account: account, Mode: taplinev1.Mode_MODE_ATTRIBUTE}})
	_, _ = p.admin.PutPerson(ctx, &taplinev1.PutPersonRequest{Person: &taplinev1.PersonEntry{Id: "p-1", DisplayName: "Anna B.", Roles: []string{"operator"}, Source: "local"}})
	_, _ = p.admin.AssignBadge(ctx, &taplinev1.AssignBadgeRequest{Person: "p-1", Badge: proofOf(anna())})
}

// heap is what is held after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestNoRequestMakesTheBrokerFail calls every method of the running broker with what nobody should send. No answer is a fault of the broker's, every
// refusal of a request names the field, no call hangs, streams end with their callers, and nothing of it stays in memory.
func TestNoRequestMakesTheBrokerFail(t *testing.T) {
	spoilts, wilds := 16, 6
	if s := os.Getenv("TAPLINE_SUITE"); s == "full" || s == "long" {
		spoilts, wilds = 160, 60
	}
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	m, all := fits(t, s), rpcs(t, p, s)
	var held []uint64
	for half := range 2 {
		for _, r := range all {
			p.stock(t.Context())
			t.Run(fmt.Sprint(half, r.name), func(t *testing.T) { r.hurt(t, m, spoilts/2, wilds/2) })
		}
		held = append(held, heap())
	}
	if held[1] > 2*held[0]+16<<20 {
		t.Errorf("the broker held %d MB after half of the calls and %d MB after all", held[0]>>20, held[1]>>20)
	}
	p.until("every stream ends with its caller", func() bool {
		stacks := make([]byte, 8<<20)
		return !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "grpc.(*Server).processStreamingRPC")
	})
	if _, err := p.admin.GetHealth(t.Context(), &taplinev1.GetHealthRequest{}); err != nil {
		t.Errorf("the broker afterwards: %v", err)
	}
}

// hurt makes hostile calls of one method.
func (r rpc) hurt(t *testing.T, m mischief, spoilts, wilds int) {
	if r.method.IsStreamingServer() {
		spoilts, wilds = spoilts/4, wilds/4 // those that go on are waited for
	}
	faults, reached := map[string]bool{}, false
	try := func(where protoreflect.FullName, req proto.Message) {
		err := r.call(t.Context(), req)
		said := status.Convert(err).Message()
		reached = reached || !strings.Contains(said, "certificate") && !strings.Contains(said, "does not open") // as the gate refuses
		fault := r.lawful(err)
		if key := fmt.Sprint(where, fault); fault != nil && !faults[key] {
			faults[key] = true
			t.Errorf("%s spoilt: %v: %.400v", where, fault, err)
		}
	}
	try("nothing", dynamicpb.NewMessage(r.method.Input()))
	try("nothing", m.fit(r.method.Input(), 0))
	all := m.spoil(r.method.Input(), 0)
	m.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, one := range all[:min(len(all), spoilts)] {
		try(one.where, one.msg)
	}
	for range wilds {
		try("much", m.wild(r.method.Input(), 0))
	}
	if !reached && !gate.Open(r.name) {
		t.Error("no call got past the gate: the test sees nothing of this method")
	}
}

// FuzzRPC makes calls of messages that a fuzzer makes up, under the same laws.
func FuzzRPC(f *testing.F) {
	p := newPlant(f)
	p.staff()
	s := p.enrol(press)
	m, all := fits(f, s), rpcs(f, p, s)
	for i, r := range all {
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m.fit(r.method.Input(), 0))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint16(i), raw)
	}
	f.Fuzz(func(t *testing.T, which uint16, raw []byte) {
		r := all[int(which)%len(all)]
		req := dynamicpb.NewMessage(r.method.Input())
		if proto.Unmarshal(raw, req) != nil {
			return // gRPC refuses it before any code of ours
		}
		err := r.call(t.Context(), req)
		if fault := r.lawful(err); fault != nil {
			t.Errorf("%s: %v: %v\nto %v", r.name, fault, err, req)
		}
	})
}
