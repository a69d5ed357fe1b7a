package lease

import (
	"time"

	"tapline/broker/store"
	"tapline/proto/record"
)

// Revoke ends what a person holds, whatever badge it was opened with. Stations on the line are told by package news; one that is not learns it when
// it asks to extend.
func Revoke(tx *store.Tx, person record.PersonID, now time.Time) error {
	held, err := tx.LeasesOfPerson(person)
	if err != nil {
		return err
	}
	for _, l := range held {
		if err := tx.EndLease(l.ID, causeRevoked, now); err != nil {
			return err
		}
	}
	return nil
}
