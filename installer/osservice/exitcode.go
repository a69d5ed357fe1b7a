package osservice

import (
	"errors"
	"fmt"
)

// ExitCode is the number with which a Tapline command ends. Scripts and service managers act on it, so a number never
// changes its meaning; new ones are added at the end. The units refuse to restart after [Usage] and [Config], because
// trying again cannot help there.
type ExitCode int

// The codes, shared by tapagent, tapbroker and tapctl.
const (
	// OK means done, or a clean stop.
	OK ExitCode = 0
	// Failure is any fault without a number of its own; the message says which.
	Failure ExitCode = 1
	// Usage means an unknown command or flag, or a missing argument: nothing was done.
	Usage ExitCode = 2
	// Config means that the configuration cannot be read or is wrong: nothing was started.
	Config ExitCode = 3
	// NotPermitted means that the caller's rights do not suffice.
	NotPermitted ExitCode = 4
	// NotInstalled means that the service manager does not know the service.
	NotInstalled ExitCode = 5
	// AlreadyInstalled means that the service manager knows the service already, maybe from a package.
	AlreadyInstalled ExitCode = 6
	// NotRunning means that the service is installed but stopped or failed ("service status").
	NotRunning ExitCode = 7
	// NoManager means that this machine has no service manager that Tapline can talk to.
	NoManager ExitCode = 8
	// Unavailable means that a peer (the broker, pcscd) could not be reached: trying later may help.
	Unavailable ExitCode = 9
	// Refused means that a peer was reached and said no: trying again will not help.
	Refused ExitCode = 10
)

// String is the code's name, as help and logs spell it.
func (c ExitCode) String() string {
	names := ExitCodes()
	if c < 0 || int(c) >= len(names) {
		return fmt.Sprintf("exit code %d", int(c))
	}
	return names[c].Name
}

// CodeMeaning is one line of the table that help prints.
type CodeMeaning struct {
	Code          ExitCode
	Name, Meaning string
}

// ExitCodes lists every code in the order of its number.
func ExitCodes() []CodeMeaning {
	return []CodeMeaning{
		{OK, "ok", "done, or a clean stop"},
		{Failure, "failure", "any fault without a number of its own"},
		{Usage, "usage", "unknown command or flag, missing argument; nothing was done"},
		{Config, "config", "configuration unreadable or wrong; nothing was started"},
		{NotPermitted, "not permitted", "rights do not suffice"},
		{NotInstalled, "not installed", "the service manager does not know the service"},
		{AlreadyInstalled, "already installed", "the service manager knows the service already"},
		{NotRunning, "not running", "installed, but stopped or failed"},
		{NoManager, "no service manager", "neither systemd nor Windows services here"},
		{Unavailable, "unavailable", "a peer could not be reached; later may help"},
		{Refused, "refused", "a peer said no; trying again will not help"},
	}
}

// Error is a fault that knows the code its command should end with and, maybe, what to do next.
type Error struct {
	Code ExitCode
	// Hint says what the reader can do, without the word "hint"; empty when there is nothing to say.
	Hint string
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives errors.Is and errors.As the fault itself.
func (e *Error) Unwrap() error { return e.Err }

// Fault wraps err with a code and a hint. A nil err stays nil.
func Fault(code ExitCode, err error, hint string) error {
	if err == nil {
		return nil
	}
	return &Error{Code: code, Hint: hint, Err: err}
}

// CodeOf is the code to end with after err: [OK] for nil, the code of the outermost [Error] in its chain, else
// [Failure].
func CodeOf(err error) ExitCode {
	if err == nil {
		return OK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Failure
}

// HintOf is the outermost non-empty hint in err's chain, or "".
func HintOf(err error) string {
	for err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}
