package osservice

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Func is a program's long-running part. It returns soon after ctx ends; nil or context.Canceled is then a clean stop.
// It may return earlier: an error ends the process with [CodeOf] of that error, nil ends it with [OK].
type Func func(ctx context.Context) error

// Spec describes one program as a service. Only Name is required.
type Spec struct {
	// Name is the unit's name on Linux: lower case, words joined by "-", as in "tapline-agent". Windows calls the
	// same service TaplineAgent: see [Spec.WindowsName].
	Name string
	// DisplayName is what a person sees in a list of services; Name when empty.
	DisplayName string
	// Description is one line on what the service does.
	Description string
	// Arguments follow the program's path when the manager starts it; nil means "service", "run", the verb that
	// [Commands] offers.
	Arguments []string
	// User is the account that the service runs as; empty means the manager's own: root, LocalSystem.
	User string
	// Dependencies are names that must be up first: units on Linux ("pcscd.socket"), services on Windows ("SCardSvr").
	Dependencies []string
	// ManualReady says that the program calls [Ready] itself once its sockets are open. Otherwise it counts as ready
	// as soon as it has been started.
	ManualReady bool
	// Reload is called on SIGHUP, one call at a time; its error is only reported to the manager, the program goes on
	// with what it had. Nil makes SIGHUP a stop, as a closed terminal should be.
	Reload func(ctx context.Context) error
	// OnEvent hears of sessions and power (Windows only, see [Event]). It is called from the loop that also answers
	// the manager and therefore must not block.
	OnEvent func(Event)
}

// WindowsName is Name as Windows services are spelled: "tapline-agent" becomes "TaplineAgent".
func (s Spec) WindowsName() string {
	var b strings.Builder
	for word := range strings.SplitSeq(s.Name, "-") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// arguments are those the manager passes.
func (s Spec) arguments() []string {
	if s.Arguments == nil {
		return []string{"service", "run"}
	}
	return s.Arguments
}

func (s Spec) displayName() string {
	if s.DisplayName == "" {
		return s.Name
	}
	return s.DisplayName
}

// check keeps a name or an argument from becoming a second line of a unit file.
func (s Spec) check() error {
	if !regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`).MatchString(s.Name) {
		return fmt.Errorf("service name %q: want lower-case words joined by \"-\"", s.Name)
	}
	lines := append([]string{s.DisplayName, s.Description, s.User}, s.Dependencies...)
	for _, line := range append(lines, s.Arguments...) {
		if strings.ContainsAny(line, "\r\n\x00") {
			return errors.New("service " + s.Name + ": line break in its description")
		}
	}
	return nil
}
