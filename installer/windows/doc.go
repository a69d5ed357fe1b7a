// Package windows holds no code: it is the folder of the agent's MSI and of its Group Policy template, and the tests
// over them. Everything in it is built and checked on Linux.
//
// The bash script "build" makes the MSI from a program that was built before; nothing imports this package.
package windows
