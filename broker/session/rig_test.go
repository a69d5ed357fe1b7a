package session_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/directory"
	"tapline/broker/policy"
	"tapline/broker/rulebook"
	"tapline/broker/session"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/pin"
	"tapline/proto/record"
	"tapline/proto/wire"
)

const (
	press   = record.StationID("plant/press/line-4/hmi-1")
	packing = record.StationID("plant/packing/line-2/hmi-1")
	account = "press-hmi"
	annas   = "uid\x0032\x00\x04\xa1\xb2\xc3"
	bens    = "uid\x0032\x00\x04\xd4\xe5\xf6"
	nobodys = "uid\x0032\x00\x04\x00\x00\x00"
)

// plant is a desk, and Anna and Ben with a badge each, who work at two stations under one account.
type plant struct {
	testing.TB
	*session.Desk
	at time.Time
}

func newPlant(t testing.TB) *plant {
	t.Helper()
	s, err := store.OpenSQLite(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return newPlantOn(t, s)
}

// newPlantOn is the plant on a store, which it closes.
func newPlantOn(t testing.TB, s *store.Store) *plant {
	t.Helper()
	p := &plant{TB: t, at: time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)}
	t.Cleanup(func() { p.must(s.Close()) })
	p.must(s.Migrate(t.Context()))
	v, err := vault.New(make([]byte, vault.KeySize))
	p.must(err)
	p.Desk = &session.Desk{
		Store: s, Vault: v, Directory: directory.Directory{Vault: v}, Rules: &rulebook.Book{}, PINs: pin.NewChecker(2),
		Now: func() time.Time { return p.at },
	}
	p.update(func(tx *store.Tx) error { return rulebook.EnsureDefault(tx, p.at) })
	p.update(func(tx *store.Tx) error {
		_, err := tx.PutAccount(&taplinev1.Account{Id: account, Capacity: 1, Stations: []string{"plant/"}})
		return err
	})
	for _, id := range []record.StationID{press, packing} {
		p.station(&taplinev1.Station{Id: string(id), Account: account})
		p.update(func(tx *store.Tx) error {
			return tx.SetStationState(id, taplinev1.StationState_STATION_STATE_ENROLLED, "")
		})
	}
	p.hire("p-1", annas, "operator")
	p.hire("p-2", bens, "shift-lead")
	return p
}

func (p *plant) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *plant) update(do func(*store.Tx) error) {
	p.Helper()
	p.must(p.Store.Update(p.Context(), do))
}

func (p *plant) station(s *taplinev1.Station) {
	p.Helper()
	p.update(func(tx *store.Tx) error {
		_, err := tx.PutStation(s)
		return err
	})
}

func (p *plant) hire(id record.PersonID, badge, role string) {
	p.Helper()
	proof, err := p.Directory.ReadProof("badge", proofOf(badge))
	p.must(err)
	p.update(func(tx *store.Tx) error {
		if _, err := tx.PutPerson(&taplinev1.PersonEntry{Id: string(id), DisplayName: string(id), Roles: []string{role}}); err != nil {
			return err
		}
		return tx.AddBadge(store.Badge{ID: "b-" + string(id), Person: id, Lookup: proof.Lookup, Number: proof.Sealed, AssignedAt: p.at})
	})
}

// rules puts a policy set in force, the default one with more rules.
func (p *plant) rules(more string) {
	p.Helper()
	set, err := policy.Load(policy.Default() + more)
	p.must(err)
	p.update(func(tx *store.Tx) error { return rulebook.Put(tx, set, "test", "", p.at) })
}

// pin gives a person a PIN.
func (p *plant) pin(id record.PersonID, pin string) {
	p.Helper()
	v, err := p.PINs.Make(p.Context(), pin)
	p.must(err)
	p.update(func(tx *store.Tx) error { return tx.PutPIN(id, v, p.at) })
}

func proofOf(number string) *taplinev1.BadgeProof {
	return &taplinev1.BadgeProof{Number: []byte(number), Technology: "iso14443a", Assurance: taplinev1.Assurance_ASSURANCE_CHIP_UID}
}

// tap is a badge presented, as a new session.
func tap(badge string) *taplinev1.OpenSessionRequest {
	return &taplinev1.OpenSessionRequest{Session: uuid.Must(uuid.NewV7()).String(), Badge: proofOf(badge), Reader: "Reader A"}
}

func with(req *taplinev1.OpenSessionRequest, change func(*taplinev1.OpenSessionRequest)) *taplinev1.OpenSessionRequest {
	req = proto.CloneOf(req)
	change(req)
	return req
}

func withPIN(req *taplinev1.OpenSessionRequest, pin string) *taplinev1.OpenSessionRequest {
	return with(req, func(r *taplinev1.OpenSessionRequest) { r.Pin = pin })
}

// open taps at a station and wants an answer.
func (p *plant) open(at record.StationID, req *taplinev1.OpenSessionRequest) *taplinev1.OpenSessionResponse {
	p.Helper()
	r, err := p.Open(p.Context(), at, req)
	p.must(err)
	return r
}

// allowed wants the tap to be allowed.
func (p *plant) allowed(at record.StationID, req *taplinev1.OpenSessionRequest) *taplinev1.OpenSessionResponse {
	p.Helper()
	r := p.open(at, req)
	if !r.GetDecision().GetAllowed() || r.GetLease().GetFence() == 0 {
		p.Fatalf("refused: %v", r)
	}
	return r
}

// refused wants the tap to be refused for a cause, and says nothing of lease or terms.
func (p *plant) refused(at record.StationID, req *taplinev1.OpenSessionRequest, cause string) *taplinev1.OpenSessionResponse {
	p.Helper()
	r := p.open(at, req)
	d := r.GetDecision()
	if d.GetAllowed() || d.GetRefusal().String() != "REFUSAL_CAUSE_"+cause || len(d.GetHelpCode()) != session.HelpCodeLength || r.GetLease() != nil {
		p.Errorf("got %v, want a refusal: %s", r, cause)
	}
	return r
}

// fails wants an error of a kind that says why.
func (p *plant) fails(err error, kind wire.Kind) {
	p.Helper()
	if wire.KindOf(err) != kind {
		p.Errorf("got %v (%s), want %s", err, wire.KindOf(err), kind)
	}
}

// held is how many leases are in force.
func (p *plant) held() int {
	p.Helper()
	var n int
	p.must(p.Store.View(p.Context(), func(tx *store.Tx) error {
		all, err := tx.Leases("", store.Page{Size: 100})
		n = len(all)
		return err
	}))
	return n
}
