package policy

import (
	"testing"

	taplinev1 "tapline/proto/tapline/v1"
)

func TestDefaultLoads(t *testing.T) {
	s, err := Load(Default())
	if err != nil {
		t.Fatal(err)
	}
	d := s.Decide(Request{Action: OpenSession, Person: &taplinev1.PersonEntry{Id: "anna"}, Station: &taplinev1.Station{Id: "a/b/c/d"}})
	if !d.Allowed {
		t.Fatal(d)
	}
}
