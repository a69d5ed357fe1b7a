// Package store keeps what the broker must not forget: the directory, identities, leases, records and alarms, in one SQL database.
//
// The broker's other packages do their work inside two calls: View, for a consistent read, and Update, for a change that is durable
// when Update returns nil. Updates that wait at the same time share one transaction on disk (group commit), each behind a savepoint of
// its own, so that one that fails takes nothing with it. What stands inside such a function must therefore be quick, must not call Update
// again, and must not leave a trace outside of the Tx before Update has returned: it may also be run a second time.
//
// There are two engines: SQLite, a file in the data folder, for one broker without any set-up; and PostgreSQL, with a synchronous standby, for
// several brokers. On PostgreSQL each group commit first locks one row, so that all brokers on the database are one writer after another, and
// whoever reads and then writes within one Update needs no thought of the others. A commit whose answer was lost is looked up: an update that was acknowledged
// is there, also after a fail-over, and none is done twice. The SQL of the nouns is the same for both, and the suite in storetest says what an engine has to do.
//
// The package stores what it is given: it decides nothing, reads no clock, and never sees a private key or a badge number in clear, only what
// broker/vault has sealed. It is the home of the SQL drivers and of goose.
package store
