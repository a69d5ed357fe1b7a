// Package e2e holds the end-to-end tests: the shipped programs, the real PC/SC service, and what happens to evidence when any of
// them is killed. The tests build the programs themselves and run in namespaces of their own, so that `go test ./scripts/e2e` needs
// nothing but the packages of scripts/packages.txt. There is nothing here to import.
package e2e
