package osservice

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

var errBroken = errors.New("broken")

// untilStopped is a well-behaved program: it ends when its context does.
func untilStopped(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestWhatTheManagerHearsAndTheCallerGets(t *testing.T) {
	tests := []struct {
		name    string
		spec    Spec
		run     Func
		signals []os.Signal
		heard   []string
		want    error
	}{
		{
			name: "a stop ends the program and is no error",
			run:  untilStopped, signals: []os.Signal{syscall.SIGTERM},
			heard: []string{"READY=1", "STOPPING=1"},
		},
		{
			name: "Ctrl+C is a stop as well",
			run:  untilStopped, signals: []os.Signal{os.Interrupt},
			heard: []string{"READY=1", "STOPPING=1"},
		},
		{
			name:  "a program that gives up hands its error on",
			run:   func(context.Context) error { return errBroken },
			heard: []string{"READY=1", "STOPPING=1"}, want: errBroken,
		},
		{
			name: "an error while stopping is not lost",
			run: func(ctx context.Context) error {
				<-ctx.Done()
				return errBroken
			},
			signals: []os.Signal{syscall.SIGTERM},
			heard:   []string{"READY=1", "STOPPING=1"}, want: errBroken,
		},
		{
			name:  "cancelled without a stop is an error",
			run:   func(context.Context) error { return context.Canceled },
			heard: []string{"READY=1", "STOPPING=1"}, want: context.Canceled,
		},
		{
			name:  "a program that announces itself is not ready before, and only once",
			spec:  Spec{ManualReady: true},
			run:   func(ctx context.Context) error { Ready(ctx); Ready(ctx); return nil },
			heard: []string{"READY=1", "STOPPING=1"},
		},
		{
			name: "a program that never got ready never said so",
			spec: Spec{ManualReady: true},
			run:  untilStopped, signals: []os.Signal{syscall.SIGTERM},
			heard: []string{"STOPPING=1"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				heard, err := supervised(t, test.spec, test.run, test.signals...)
				if !errors.Is(err, test.want) {
					t.Errorf("err = %v, want %v", err, test.want)
				}
				if diff := cmp.Diff(test.heard, heard); diff != "" {
					t.Errorf("the manager heard (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// supervised runs a program through all of its life inside a synctest bubble, one signal after the other has had its
// effect.
func supervised(t *testing.T, spec Spec, run Func, signals ...os.Signal) ([]string, error) {
	t.Helper()
	var heard []string
	queue := make(chan os.Signal)
	var result error
	var program sync.WaitGroup
	program.Go(func() {
		result = supervise(spec, run, life{
			signals: queue,
			tell:    func(s string) { heard = append(heard, s) },
			release: func() {},
		})
	})
	for _, s := range signals {
		synctest.Wait()
		queue <- s
	}
	program.Wait()
	return heard, result
}

func TestRunRefusesANameThatIsNotOne(t *testing.T) {
	for _, name := range []string{"", "Tapline", "tapline agent", "tapline-", "a\nb", "../x"} {
		err := Run(Spec{Name: name}, untilStopped)
		if err == nil {
			t.Errorf("name %q was accepted", name)
		}
	}
}

func TestRefusesALineBreakInTheUnit(t *testing.T) {
	spec := Spec{Name: "tapline-agent", Description: "x\nExecStartPre=/bin/evil"}
	if err := spec.check(); err == nil {
		t.Error("a description with a line break was accepted")
	}
}

func TestReadyOutsideRunDoesNothing(t *testing.T) {
	Ready(t.Context())
}

func TestWindowsName(t *testing.T) {
	for name, want := range map[string]string{"tapline-agent": "TaplineAgent", "tapline-broker": "TaplineBroker", "x": "X"} {
		if got := (Spec{Name: name}).WindowsName(); got != want {
			t.Errorf("WindowsName of %q = %q, want %q", name, got, want)
		}
	}
}

func TestArgumentsDefaultToTheVerb(t *testing.T) {
	if got := (Spec{}).arguments(); !slices.Equal(got, []string{"service", "run"}) {
		t.Errorf("arguments = %q", got)
	}
}
