// Package renewal lets a fleet of stations live with their certificates for years, in minutes: the real agent/identity against the real
// broker/identity on a real store, with a clock that is turned by hand.
//
// Requests and answers get lost, stations sleep for months, disks are cloned, clocks are wrong on either side, brokers restart, the issuing CA and the
// root change. The law: nobody honest is ever locked out or quarantined, every clone is found, and whoever slept comes back by itself.
// Between the two there is no network: each call makes the checks that a TLS connection would (package proto/wire judges both certificates) and
// passes the broker's gate.
//
// "scripts/bench renewal" and the tests of this package call it. What happens is decided by the seed alone. It measures no network and no disk: the
// store lies in memory where there is a file system for that.
package renewal
