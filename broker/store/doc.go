// Package store keeps what the broker must not forget: the directory, identities, leases, records and alarms, in one SQL database.
//
// The broker's other packages do their work inside two calls: View, for a consistent read, and Update, for a change that is durable
// when Update returns nil. Updates that wait at the same time share one transaction on disk (group commit), each behind a savepoint of
// its own, so that one that fails takes nothing with it. What stands inside such a function must therefore be quick, must not call Update
// again, and must not leave a trace outside of the Tx before Update has returned.
//
// SQLite is the only engine of this version. The SQL keeps to what PostgreSQL understands too, no rule depends on there being one
// process, and the suite in storetest says what any engine has to do.
//
// The package stores what it is given: it decides nothing, reads no clock, and never sees a private key or a badge number in clear, only what
// broker/vault has sealed. It is the home of the SQL driver and of goose.
package store
