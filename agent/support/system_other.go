//go:build !linux

package support

// system has no more to say here than the version has.
func system() string { return "" }
