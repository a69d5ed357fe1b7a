package broker

import (
	"testing"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// number asks tapctl's question: the number of a station's newest certificate, and those of the copies that were seen.
func (p *plant) number(id string) (newest uint64, copies []uint64) {
	p.t.Helper()
	r, err := p.admin.GetStation(p.t.Context(), &taplinev1.GetStationRequest{Id: id})
	p.must(err)
	for _, c := range r.GetIdentity().GetCopies() {
		copies = append(copies, c.GetJoinSequence())
	}
	return r.GetIdentity().GetJoinSequence(), copies
}

func (p *plant) release(id string, number uint64) {
	p.t.Helper()
	_, err := p.admin.ReleaseStation(p.t.Context(), &taplinev1.ReleaseStationRequest{Id: id, JoinSequence: number})
	p.must(err)
}

// The station's disk broke, and a snapshot from before two renewals was put back. There is no other copy any more.
func TestAStationWithAnOldDiskGoesOnAfterItsNumberIsReleased(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	old := s.copied()
	s.renew()
	s.renew()
	csr := old.csr()
	_, err := old.askRenewal(1, csr)
	refused(t, err, wire.Stale, "two copies")
	if newest, copies := p.number(press); newest != 3 || len(copies) != 1 || copies[0] != 1 {
		t.Errorf("the administrator sees number %d and copies %d, want 3 and the one at 1", newest, copies)
	}
	_, err = p.admin.ApproveRecovery(t.Context(), &taplinev1.ApproveRecoveryRequest{Id: press})
	refused(t, err, wire.Precondition, "release it instead")
	_, err = p.admin.ReleaseStation(t.Context(), &taplinev1.ReleaseStationRequest{Id: press, JoinSequence: 9})
	refused(t, err, wire.Invalid, "join_sequence")
	p.release(press, 1)
	id, err := old.askRenewal(1, csr)
	p.must(err)
	if id.GetJoinSequence() <= 3 {
		t.Errorf("it goes on at number %d, which somebody else had", id.GetJoinSequence())
	}
	old.identity = id
	old.connect()
	old.open(tap(anna()))
	_, err = s.client.OpenSession(t.Context(), tap(anna()))
	refused(t, err, wire.Unauthenticated, "revoked")
}

// The clone renewed first, so that it is the station that is out of turn. After the administrator has picked the station, the clone is switched on
// again, and tries all that it can.
func TestACloneThatWasGivenUpCannotStopTheStationThatWasPicked(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	clone := s.copied()
	clone.renew()
	mine := s.csr()
	_, err := s.askRenewal(1, mine)
	refused(t, err, wire.Stale, "two copies")
	p.release(press, 1)
	id, err := s.askRenewal(1, mine)
	p.must(err)
	s.identity = id
	s.connect()
	_, err = clone.askRenewal(2, clone.csr())
	refused(t, err, wire.Unauthenticated, "revoked")
	_, err = clone.recover(clone.keys.identity, clone.challenge())
	refused(t, err, wire.Stale, "given up")
	clone.identity.JoinSequence = 1
	_, err = clone.recover(clone.keys.identity, clone.challenge())
	refused(t, err, wire.Stale, "given up")
	s.open(tap(anna()))
	s.renew()
}
