package broker

import (
	"strings"
	"testing"

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

func FuzzRequestNames(f *testing.F) {
	f.Add("ticket-4711")
	f.Fuzz(func(t *testing.T, id string) {
		if goodRequest(id) && (len(id) > maxRequest || strings.ContainsAny(id, " \t\r\n\"'\\\x00") || id == "") {
			t.Errorf("%q is taken into a log", id)
		}
	})
}
