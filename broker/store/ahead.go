package store

import "tapline/proto/record"

// The questions of a decision, which are asked ahead. Whoever asks one of them in other words is answered all the same, by a way of its own.
const (
	answerOf       = `SELECT station, request, reply, at FROM answers WHERE session = ?`
	stationByID    = `SELECT ` + stationColumns + ` FROM stations WHERE id = ?`
	badgeByLookup  = `SELECT ` + badgeColumns + ` FROM badges WHERE lookup = ? ORDER BY revoked, assigned_at DESC LIMIT 1`
	personByID     = `SELECT doc, revision FROM people WHERE id = ?`
	accountByID    = `SELECT doc, revision FROM accounts WHERE id = ?`
	zoneByID       = `SELECT doc, revision FROM zones WHERE id = ?`
	counterOf      = `SELECT value FROM counters WHERE name = ?`
	policyInForce  = `SELECT version FROM policies ORDER BY number DESC LIMIT 1`
	fenceOf        = `SELECT last FROM fences WHERE scope = ?`
	lastPIN        = `SELECT COALESCE(MAX(at), 0) FROM taps WHERE person = ? AND station = ? AND pin = 1`
	leasesOf       = `SELECT ` + leaseColumns + ` FROM leases `
	ofScope        = `WHERE scope = ? AND ended_at = 0`
	ofStation      = `WHERE station = ? AND ended_at = 0 ORDER BY opened_at`
	ofPerson       = `WHERE person = ? AND ended_at = 0 ORDER BY opened_at`
	lastOfPersonAt = `WHERE person = ? AND station = ? ORDER BY opened_at DESC LIMIT 1`
)

// AheadOfTap says that a tap will be decided: what the first questions of that are. It changes how many ways to
// the server the answers take, and no answer.
func (tx *Tx) AheadOfTap(session record.SessionID, station record.StationID, lookup []byte) error {
	return tx.ask(
		question{query: answerOf, args: []any{string(session)}},
		question{query: stationByID, args: []any{string(station)}},
		question{query: badgeByLookup, args: []any{lookup}},
		question{query: policyInForce},
		question{query: counterOf, args: []any{generation}},
		question{
			query: `SELECT id, doc, revision FROM people WHERE id IN (SELECT person FROM badges WHERE lookup = ?)`, args: []any{lookup}, each: personByID,
		},
		question{query: leasesOf + ofStation, args: []any{string(station)}},
		question{
			query: `SELECT id, doc, revision FROM people WHERE id IN (SELECT person FROM leases WHERE station = ? AND ended_at = 0)`,
			args:  []any{string(station)}, each: personByID,
		},
	)
}

// Decided is what a decision will be about.
type Decided struct {
	Person  record.PersonID
	Station record.StationID
	Account record.AccountID // empty for none
	Zone    string           // empty for none
	Scope   string           // of the lease that may be taken
}

// AheadOfDecision is as AheadOfTap, of what comes once it is known who taps.
func (tx *Tx) AheadOfDecision(d Decided) error {
	asked := []question{
		{query: leasesOf + ofPerson, args: []any{string(d.Person)}},
		{query: leasesOf + lastOfPersonAt, args: []any{string(d.Person), string(d.Station)}},
		{query: leasesOf + ofScope, args: []any{d.Scope}},
		{query: fenceOf, args: []any{d.Scope}},
		{query: lastPIN, args: []any{string(d.Person), string(d.Station)}},
	}
	if d.Account != "" {
		asked = append(asked, question{query: accountByID, args: []any{string(d.Account)}})
	}
	if d.Zone != "" {
		asked = append(asked, question{query: zoneByID, args: []any{d.Zone}})
	}
	return tx.ask(asked...)
}
