package wire_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func TestTextOfARequestIsText(t *testing.T) {
	for field, m := range map[string]proto.Message{
		"":               &taplinev1.PutPersonRequest{Person: &taplinev1.PersonEntry{Id: "p-1", DisplayName: "Åsa\u202e\n", Roles: []string{"operator"}}},
		"number":         nil, // a badge's bytes, which are no text
		"note":           &taplinev1.CloseAlarmRequest{Note: "a\x00b"},
		"person.roles":   &taplinev1.PutPersonRequest{Person: &taplinev1.PersonEntry{Id: "p-1", Roles: []string{"good", "\x00"}}},
		"person.id":      &taplinev1.PutPersonRequest{Person: &taplinev1.PersonEntry{Id: "\xff"}},
		"filter.session": &taplinev1.QueryRecordsRequest{Filter: &taplinev1.RecordFilter{Session: "\x00"}},
	} {
		if m == nil {
			field, m = "", &taplinev1.BadgeProof{Number: []byte("uid\x0032\x00\xff")}
		}
		err := wire.CheckText(m)
		switch {
		case field == "" && err != nil:
			t.Errorf("%v: %v", m, err)
		case field != "" && (wire.KindOf(err) != wire.Invalid || !strings.HasPrefix(err.Error(), field+": ")):
			t.Errorf("%v: got %v, want a refusal that names %s", m, err, field)
		}
	}
}
