package osservice

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// newRoot is a main's command tree as Tapline writes it.
func newRoot() *cobra.Command {
	root := &cobra.Command{Use: "tapagent"}
	spec := Spec{Name: "tapline-agent", DisplayName: "Tapline agent"}
	root.AddCommand(
		Commands(spec, untilStopped),
		&cobra.Command{Use: "check", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
			return Fault(Config, errBroken, "edit agent.yaml")
		}},
	)
	return root
}

func TestExecuteSpeaksAndEndsByTheRules(t *testing.T) {
	tests := []struct {
		name string
		args string
		code ExitCode
		says []string
	}{
		{"no command prints help", "", OK, []string{"Usage:", "service"}},
		{"a group without a verb prints help", "service", OK, []string{"install", "status", "restart"}},
		{"an unknown command is usage and teaches", "serve", Usage, []string{`error: unknown command "serve"`, "did you mean", "hint: "}},
		{"an unknown verb is usage, not help", "service instal", Usage, []string{`unknown command "instal" for "tapagent service"`, `did you mean "install"`}},
		{"an unknown flag is usage", "service status --fast", Usage, []string{"unknown flag", `hint: "tapagent service status --help"`}},
		{"too many arguments are usage", "check now", Usage, []string{"error: ", "hint: "}},
		{"a command's own code and hint come through", "check", Config, []string{"error: broken", "hint: edit agent.yaml"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			root := newRoot()
			root.SetOut(&out)
			root.SetErr(&out)
			root.SetArgs(strings.Fields(test.args))
			if got := Execute(t.Context(), root); got != test.code {
				t.Errorf("code = %v, want %v", got, test.code)
			}
			for _, want := range test.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("output lacks %q:\n%s", want, out.String())
				}
			}
		})
	}
}

func TestStatusCodeOfEveryState(t *testing.T) {
	want := map[State]ExitCode{
		StateUnknown: NotRunning, StateNotInstalled: NotInstalled, StateStopped: NotRunning, StateStarting: OK,
		StateRunning: OK, StateStopping: NotRunning, StateFailed: NotRunning,
	}
	for state, code := range want {
		if got := CodeOf(statusFault(Spec{Name: "x"}, state)); got != code {
			t.Errorf("%v: code %v, want %v", state, got, code)
		}
	}
}
