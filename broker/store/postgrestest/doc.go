// Package postgrestest runs a real PostgreSQL server that is thrown away: for the tests of whatever stands on broker/store, and for benchmarks.
//
// Launch makes a server of its own in a folder, on a free port, with every setting that the store demands; Start does the same for a test, and
// skips the test where PostgreSQL is not installed. A server can be given a synchronous standby, be killed like a machine that loses power, stand
// still like one whose network is gone, and be promoted. Databases are made with an order of text that is not the bytes', because a
// plant's database may be.
//
// It is never part of a product: nothing here is safe to keep data in, and anybody on the machine may connect.
package postgrestest
