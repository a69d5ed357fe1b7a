package ingest

import (
	"fmt"
	"time"

	"tapline/broker/alarm"
	"tapline/broker/lease"
	"tapline/broker/store"
	"tapline/proto/record"
)

// follow brings sessions and leases up to date with records that were stored.
func follow(tx *store.Tx, entries []record.Entry, now time.Time) error {
	var offline *record.Payload // the last session of the batch that goes on and has no lease of ours
	for _, e := range entries {
		p := e.Payload
		if err := followOne(tx, p, now); err != nil {
			return fmt.Errorf("follow record %d of chain %s: %w", p.Seq, p.Chain, err)
		}
		switch p.Type {
		case record.SessionOpened, record.SessionHandedOver:
			offline = nil
			if p.Lease == nil {
				offline = &p
			}
		case record.SessionClosed:
			if offline != nil && offline.Session == p.Session {
				offline = nil
			}
		}
	}
	if offline == nil {
		return nil
	}
	return adopt(tx, *offline, now)
}

func followOne(tx *store.Tx, p record.Payload, now time.Time) error {
	switch p.Type {
	case record.SessionHandedOver:
		if err := closeSession(tx, p, p.From.Session, "hand-over", now); err != nil {
			return err
		}
		return openSession(tx, p, store.Named, p.Session)
	case record.SessionOpened:
		return openSession(tx, p, store.Named, p.Session)
	case record.SessionClosed:
		return closeSession(tx, p, p.Session, p.Reason, now)
	case record.EmergencyOpened:
		return openEmergency(tx, p, now)
	case record.EmergencyClaimed:
		return claimEmergency(tx, p, now)
	case record.UnattributedBegan:
		// It has no ID of its own; the place in its chain is as good.
		return openSession(tx, p, store.Unattributed, record.SessionID(fmt.Sprintf("%s.%d", p.Chain, p.Seq)))
	case record.UnattributedEnded:
		return tx.CloseKind(p.Chain, store.Unattributed, endOf(p, p.Reason, now))
	}
	return nil
}

func openEmergency(tx *store.Tx, p record.Payload, now time.Time) error {
	opened := p.Time.Wall
	if now.Before(opened) { // a clock that is ahead does not put off the alarm
		opened = now
	}
	err := tx.AddEmergency(store.EmergencyEntry{
		ID: p.Session, Chain: p.Chain, Station: p.Station, OpenedAt: opened, Reason: p.Reason, Missing: record.ClaimsNeeded,
	})
	if err != nil {
		return err
	}
	return openSession(tx, p, store.Emergency, p.Session)
}

// claimEmergency takes an answer, and closes the alarm about it once nothing at the station waits for one any more.
func claimEmergency(tx *store.Tx, p record.Payload, now time.Time) error {
	e, err := tx.ClaimEmergency(p.Chain, p.Claim.Emergency, store.EmergencyClaim{Person: p.Person, At: p.Time.Wall, Seq: p.Seq})
	if err != nil || e.Missing > 0 || e.AlarmedAt.IsZero() {
		return err
	}
	left, err := tx.UnclaimedAt(e.Station)
	if err != nil || left > 0 {
		return err
	}
	return alarm.Over(tx, alarm.EmergencyUnclaimed, e.Station, now, "claimed")
}

func openSession(tx *store.Tx, p record.Payload, kind store.SessionKind, id record.SessionID) error {
	s := store.Session{
		ID: id, Kind: kind, Station: p.Station, Chain: p.Chain, Person: p.Person, Account: p.Account,
		OpenedAt: p.Time.Wall, OpenedError: clockError(p.Time), Mode: p.Mode, OpenedSeq: p.Seq, DecidedBy: "station",
	}
	if p.Decision != nil {
		s.DecidedBy = p.Decision.By
	}
	if p.Badge != nil {
		s.Assurance = p.Badge.Assurance
	}
	return tx.AddSession(s)
}

func closeSession(tx *store.Tx, p record.Payload, id record.SessionID, reason record.Reason, now time.Time) error {
	if err := tx.CloseSession(p.Chain, id, endOf(p, reason, now)); err != nil {
		return err
	}
	l, err := tx.LeaseOf(id)
	if err != nil || l.Station != p.Station {
		return ignoreMissing(err)
	}
	return tx.EndLease(l.ID, string(reason), now)
}

func endOf(p record.Payload, reason record.Reason, now time.Time) store.End {
	return store.End{At: p.Time.Wall, Error: clockError(p.Time), Reason: reason, Seq: p.Seq, Received: now}
}

// clockError is how far a record's time may be off; 0 when the station cannot say.
func clockError(t record.Time) time.Duration {
	return time.Duration(t.Error) * time.Millisecond
}

// adopt takes a lease for a session that began without one, so that others see the account in use. A lease that the station took later than
// that stays: the record is only late.
func adopt(tx *store.Tx, p record.Payload, now time.Time) error {
	own, err := tx.LeasesOfStation(p.Station)
	if err != nil {
		return err
	}
	for _, l := range own {
		if l.Session >= p.Session { // UUIDv7: their order is the order of their making at the station
			return nil
		}
	}
	if _, err := tx.LeaseOf(p.Session); err == nil {
		return nil
	}
	_, held, err := lease.Adopt(tx, lease.Want{Session: p.Session, Station: p.Station, Person: p.Person, Account: p.Account}, now)
	if err != nil || !held {
		return err
	}
	return alarm.Raise(tx, alarm.LeaseConflict, p.Station, now, "session %s began offline under account %s, which is held elsewhere",
		p.Session, p.Account)
}
