// Package openbaotest plays an OpenBao server for tests, as strictly as its public API documentation says what it does.
//
// The real server can be had neither as a Go module, nor from apt, nor from pip, so tests of packages openbao, secret and broker start this one with
// Start: HTTPS under a certificate authority of the test, a KV engine of version 2 with check-and-set, AppRole and token login, tokens that end and
// are renewed up to their longest time, rights by path, a namespace, and the ways in which a server fails. What is not asked as the documentation
// has it is refused. It keeps nothing, and no program but a test uses it.
package openbaotest
