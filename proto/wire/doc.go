// Package wire is how the parts of Tapline talk: mutual TLS, the names in certificates, deadlines and limits of gRPC, and the
// one table that maps kinds of error to gRPC codes and back.
//
// The broker's server, the agent's uplink and the command-line clients all dial and serve through it, so that no part can forget a
// limit or a check. It knows what a certificate says, never whether the registry still believes it: that is the broker's
// to ask on every call. It does no retry, holds no state and reads no file.
package wire
