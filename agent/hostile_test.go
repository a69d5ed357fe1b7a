package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

const (
	listened = 50 * time.Millisecond // how long a stream that goes on is listened to
	hung     = time.Minute           // a call that takes as long has hung
)

// spoiltTexts are what nobody should send.
func spoiltTexts() []string {
	return []string{
		"", " ", "x", strings.Repeat("x", 256), strings.Repeat("x", 4097), strings.Repeat("ä", 30_000), "a\x00b", "a\nb\x1b[31m", "\u202eanna\u2066", "\ufeff",
		"../../etc/passwd", pressName, "-1", "٣", "%s%n%_\\", "'; DROP TABLE people; --", "K7QX2M", "0195c0de-0000-7000-8000-000000000001", "00000000-0000-0000-0000-000000000000",
	}
}

// spoils gives requests of a call in which one field is as nobody should send it, and the others are as they might be.
func spoils(kind protoreflect.MessageDescriptor) (all []proto.Message) {
	fields := kind.Fields()
	all = append(all, dynamicpb.NewMessage(kind))
	for i := range fields.Len() {
		var values []protoreflect.Value
		for _, s := range spoiltTexts() {
			switch fields.Get(i).Kind() {
			case protoreflect.StringKind:
				values = append(values, protoreflect.ValueOfString(s))
			case protoreflect.BytesKind:
				values = append(values, protoreflect.ValueOfBytes([]byte(s)))
			}
		}
		for _, v := range values {
			m := dynamicpb.NewMessage(kind)
			for j := range fields.Len() {
				if f := fields.Get(j); f.Kind() == protoreflect.StringKind {
					m.Set(f, protoreflect.ValueOfString("0195c0de-0000-7000-8000-000000000002"))
				} else if f.Kind() == protoreflect.BytesKind {
					m.Set(f, protoreflect.ValueOfBytes(make([]byte, 32)))
				}
			}
			m.Set(fields.Get(i), v)
			all = append(all, m)
		}
	}
	return all
}

// unlawful says what is wrong with the answer to a request; nil if it is as it must be.
func unlawful(kind protoreflect.MessageDescriptor, err error) error {
	text := status.Convert(err).Message()
	switch k := wire.KindOf(err); {
	case k == wire.None:
	case k == wire.Internal:
		return errors.New("the agent failed")
	case k == wire.Deadline:
		return errors.New("the call hung")
	case len(text) > 2048:
		return fmt.Errorf("the refusal has %d bytes", len(text))
	case strings.ContainsFunc(text, func(c rune) bool { return c != '\n' && unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) }):
		return errors.New("the refusal hands on control characters")
	case k == wire.Invalid:
		names, _, _ := strings.Cut(text, ":")
		for name := range strings.SplitSeq(names, ", ") {
			if kind.Fields().ByName(protoreflect.Name(name)) == nil {
				return fmt.Errorf("the refusal names %q, which %s has not", name, kind.Name())
			}
		}
	}
	return nil
}

// callLocal makes one call; of a stream it takes what comes in a moment.
func callLocal(ctx context.Context, conn *grpc.ClientConn, m protoreflect.MethodDescriptor, req proto.Message) error {
	path := fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
	if !m.IsStreamingServer() {
		ctx, cancel := context.WithTimeout(ctx, hung)
		defer cancel()
		return conn.Invoke(ctx, path, req, dynamicpb.NewMessage(m.Output()))
	}
	ctx, cancel := context.WithTimeout(ctx, listened)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
	if err != nil {
		return err
	}
	_ = stream.SendMsg(req) // a stream that was refused says why on receipt
	_ = stream.CloseSend()
	for err == nil {
		err = stream.RecvMsg(dynamicpb.NewMessage(m.Output()))
	}
	if errors.Is(err, io.EOF) || wire.KindOf(err) == wire.Deadline {
		return nil
	}
	return err
}

// TestNoLocalRequestMakesTheAgentFail calls every method of LocalService of a running agent with what nobody should send, over gRPC and, what has a
// path there, over HTTP. No answer is a fault of the agent's, every refusal of a request names its field, no call hangs, and the station works on.
func TestNoLocalRequestMakesTheAgentFail(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	conn, err := grpc.NewClient("unix:"+p.cfg.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	methods := taplinev1.File_tapline_v1_local_proto.Services().ByName("LocalService").Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		t.Run(string(m.Name()), func(t *testing.T) {
			faults := map[string]bool{}
			for _, req := range spoils(m.Input()) {
				err := callLocal(t.Context(), conn, m, req)
				if fault := unlawful(m.Input(), err); fault != nil && !faults[fault.Error()] {
					faults[fault.Error()] = true
					t.Errorf("%v: %.300v\nto %.300v", fault, err, req)
				}
			}
		})
	}
	t.Run("over HTTP", func(t *testing.T) { p.hurtHTTP(t, methods) })
	if _, err := p.local.GetStatus(t.Context(), &taplinev1.GetStatusRequest{}); err != nil {
		t.Errorf("the agent afterwards: %v", err)
	}
}

// hurtHTTP sends the same as JSON, and what is no JSON, to every path.
func (p *press) hurtHTTP(t *testing.T, methods protoreflect.MethodDescriptors) {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", p.cfg.Socket)
	}}}
	defer client.CloseIdleConnections()
	for path, call := range map[string]protoreflect.Name{
		"/api/v1/pin": "EnterPin", "/api/v1/emergency": "BeginEmergency", "/api/v1/emergency/claim": "ClaimEmergency", "/api/v1/session/end": "EndSession",
		"/api/v1/sign": "SignAction", "/api/v1/token": "IssueToken", "/api/v1/badge/claim": "ClaimBadge",
	} {
		bodies := [][]byte{nil, []byte("{"), []byte("[]"), []byte("null"), []byte(`{"a":1}`), []byte("\xff\xfe"), []byte(strings.Repeat("[", 60_000)), []byte(`{"session":1e999}`)}
		for _, req := range spoils(methods.ByName(call).Input()) {
			if body, err := protojson.Marshal(req); err == nil {
				bodies = append(bodies, body)
			}
		}
		for _, body := range bodies {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://station"+path, strings.NewReader(string(body)))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			resp, err := client.Do(req)
			if err != nil {
				t.Fatalf("%s %.80q: %v", path, body, err)
			}
			says, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode == http.StatusInternalServerError || resp.StatusCode == http.StatusBadRequest && !strings.Contains(string(says), `"field":`) {
				t.Errorf("%s %.80q: %d %.300s, %v", path, body, resp.StatusCode, says, err)
			}
		}
	}
}
