// Package login checks ID tokens of an OpenID Connect issuer (OpenID Connect Core 1.0, section 3.1.3.7) for officers who have no invitation.
//
// Package officer asks it when somebody shows an ID token, and for what GetLogin tells a client; "tapbroker check" asks it whether the issuer can be
// reached. A token is good when a key of the issuer signed it, it is for this broker's client, and it is minutes old by the broker's clock; its groups
// say which role it gives. The issuer is asked when a token needs it and never before: discovery and keys are fetched then, bounded in time and size,
// one request at a time, and not at all for a while after it did not answer. So an issuer that is away delays a login by seconds, and nothing else.
//
// The package keeps no token and no secret, never says a token's content in an error beyond the name of a claim, and does not make certificates. The
// device flow (RFC 8628) itself is between tapctl and the issuer.
package login
