// Package identity is who this station is: how it became a station of its broker, and how it stays one for years.
//
// A station has an identity key, made once and never shown to anybody; a TLS key and certificate that change every few days; and the
// broker's statement that binds it to its chain of records. Enrol trades a one-use token for all of that. Load finds it again. Run
// renews the certificate at half its life, and after a long absence, when the certificate has expired, recovers it with the identity key, so
// that nobody has to visit the station.
//
// Every request to the broker is written down before it is sent and sent again unchanged until an answer has been written down: same
// keys, same certificate request, same chain. The broker answers a repeated request with the same answer. So a crash or a lost message, at any
// point, costs a repetition and never a lockout, and a second station that goes on from a copied disk stands out.
//
// The agent calls it. It believes no broker that does not prove the root the token pinned, or the roots that such a broker named later. It
// never sets the clock of the machine, never ends the process, and gives its secrets to nobody but the keystore. Certificates of other
// stations and the registry are the broker's business.
package identity
