package broker

import (
	"context"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func TestACallHasANameInItsAnswer(t *testing.T) {
	p := newPlant(t)
	for _, row := range []struct {
		says, sent string
		kept       bool
	}{
		{"a caller names its call", "ticket-4711", true},
		{"a caller that does not", "", false},
		{"a name that a line of the log cannot hold", "a b", false},
		{"a name that is too long", strings.Repeat("x", maxRequest+1), false},
	} {
		ctx := t.Context()
		if row.sent != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, wire.RequestHeader, row.sent)
		}
		var trailer metadata.MD
		_, err := p.admin.GetPerson(ctx, &taplinev1.GetPersonRequest{Id: "nobody"}, grpc.Trailer(&trailer))
		got := trailer.Get(wire.RequestHeader)
		if err == nil || len(got) != 1 || got[0] == "" || (got[0] == row.sent) != row.kept {
			t.Errorf("%s: got %v with %v", row.says, got, err)
		}
	}
}

// TestTheLogNamesTheCall at the level of what came of it: that there is none of what was asked for is an answer, no warning.
func TestTheLogNamesTheCall(t *testing.T) {
	for says, row := range map[string]struct {
		err  error
		want zapcore.Level
	}{
		"answered":         {nil, zap.DebugLevel},
		"nothing found":    {wire.E(wire.NotFound, "person p-1: not found"), zap.InfoLevel},
		"refused":          {wire.E(wire.Denied, "no"), zap.WarnLevel},
		"failed inside":    {wire.E(wire.Internal, "broken"), zap.ErrorLevel},
		"the caller left":  {wire.E(wire.Cancelled, "gone"), zap.DebugLevel},
		"too much at once": {wire.E(wire.Busy, "come back"), zap.WarnLevel},
	} {
		core, seen := observer.New(zap.DebugLevel)
		b := &Broker{log: zap.New(core)}
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(wire.RequestHeader, "ticket-4711"))
		_, _ = requestUnary(ctx, nil, nil, func(ctx context.Context, _ any) (any, error) {
			b.note(ctx, "/a/B", row.err, 0)
			return nil, row.err
		})
		if all := seen.All(); len(all) != 1 || all[0].Level != row.want || all[0].ContextMap()["request"] != "ticket-4711" {
			t.Errorf("%s: got %v", says, all)
		}
	}
}

func FuzzRequestNames(f *testing.F) {
	f.Add("ticket-4711")
	f.Fuzz(func(t *testing.T, id string) {
		if goodRequest(id) && (len(id) > maxRequest || strings.ContainsAny(id, " \t\r\n\"'\\\x00") || id == "") {
			t.Errorf("%q is taken into a log", id)
		}
	})
}
