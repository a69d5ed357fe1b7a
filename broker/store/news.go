package store

import "fmt"

// The counter of ends of leases: an end has the next number, and numbers become visible in their order.
const ends = "ended-leases"

// Ended is a lease that has ended, and the number of that end.
type Ended struct {
	Number uint64
	Lease  Lease
}

// LastEnd is the number of the newest end of a lease; 0 before the first.
func (tx *Tx) LastEnd() (uint64, error) { return tx.Count(ends) }

// EndsAfter reads leases that ended after the end of a number, in the order of their ends, limit at most.
func (tx *Tx) EndsAfter(number uint64, limit int) ([]Ended, error) {
	found, err := all(tx, func(r scanner) (Ended, error) {
		var e Ended
		var n int64
		l, err := scanLease(also{r, &n})
		e.Number, e.Lease = uint64(n), l
		return e, err
	}, `SELECT `+leaseColumns+`, ended_number FROM leases WHERE ended_number > ? AND ended_number > 0 ORDER BY ended_number LIMIT ?`, int64(number), limit)
	if err != nil {
		return nil, fmt.Errorf("read ended leases: %w", err)
	}
	return found, nil
}

// also is a row with one more column.
type also struct {
	scanner
	last any
}

// Scan reads the row.
func (a also) Scan(into ...any) error { return a.scanner.Scan(append(into, a.last)...) }
