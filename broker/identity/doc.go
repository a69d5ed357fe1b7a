// Package identity says who may talk to the broker, and as whom: the certificate authority, enrolment tokens, station
// identities with their join sequence, and the registry that is asked on every call.
//
// A station enrols once with a one-use token, proves an identity key that never leaves it, and gets a TLS certificate for seven days, which it
// trades for the next one half-way. Each certificate has a join sequence number. Whoever asks for a successor to any but the newest, with other
// than the very request that was answered before, is a second copy of the station: the station is quarantined and an alarm raised. A
// station that was away until its certificate had expired proves its identity key instead.
//
// The package makes and keeps the broker's own keys too, sealed by broker/vault: root, issuing CA, evidence key and site badge key. It never
// accepts an expired certificate, never trusts what a station says of itself (hints), and has no list of revoked certificates to send around: a
// call is refused because the registry says so.
package identity
