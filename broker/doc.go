// Package broker is the central service of Tapline: it decides taps, leases shared accounts, keeps the records of all stations and answers auditors.
//
// A tap comes in at package station, over mutual TLS and past package gate. Package session finds whose badge it is (directory), asks the policy and
// takes the lease; the answer goes back. Records come in on a stream: package ingest checks that they continue their chain, stores them, and
// signs a receipt; what they say of sessions is kept beside them. Administrators change the directory through package admin, and each act is a
// record of the broker's own chain (acts). People may also come from a file, an LDAP directory (sync) or a SCIM client, all through package roster.
// Auditors read through package audit.
//
// Config says how a broker runs, New opens the store and wires the parts, Run serves until its context ends. The store is the only
// state: keys and badge numbers lie in it sealed (vault), and any part may be killed at any moment.
package broker
