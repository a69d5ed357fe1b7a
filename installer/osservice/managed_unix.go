//go:build unix

package osservice

// RunManaged is what "service run" calls: the entry for the service manager. Under systemd it is the same as [Run].
func RunManaged(spec Spec, run Func) error { return Run(spec, run) }
