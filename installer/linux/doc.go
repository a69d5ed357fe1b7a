// Package linux holds no code: it is the folder of the Linux packages, tapline-agent and tapline-broker, each a .deb and
// an .rpm, with their units, default configuration and maintainer scripts, and the tests over them.
//
// The bash script "build" makes the packages from programs that were built before; nothing imports this package.
package linux
