package osservice

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
)

// Run runs a program in the foreground: in a terminal, in a container, or under systemd, which it tells about
// readiness and the coming stop (sd_notify, Type=notify). The context given to run ends on SIGINT, SIGTERM or, without
// spec.Reload, SIGHUP; a second such signal kills the process at once. Run returns when run has returned, with its
// error; a stop that was asked for is nil.
//
// On Windows this is the console path. The service itself starts by [RunManaged].
func Run(spec Spec, run Func) error {
	if err := spec.check(); err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, watchedSignals()...)
	defer signal.Stop(signals)
	manager, err := dialManager(os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	defer manager.close()
	return supervise(spec, run, life{signals: signals, tell: manager.tell, release: func() { signal.Stop(signals) }})
}

// life is what a foreground run hears and says.
type life struct {
	signals <-chan os.Signal
	tell    func(state string) // to the manager; best effort
	release func()             // gives signals their default effect back
}

// supervise starts run and waits for it. It owns the loop: signals, reloads and the end of run all arrive here.
func supervise(spec Spec, run Func, l life) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready := sync.OnceFunc(func() { l.tell("READY=1") })
	stopping := sync.OnceFunc(func() { l.tell("STOPPING=1") })

	var program sync.WaitGroup
	var failure error
	ended := make(chan struct{})
	program.Go(func() {
		defer close(ended)
		failure = run(withReady(ctx, ready))
	})
	if !spec.ManualReady {
		ready()
	}
	for {
		select {
		case <-ended:
			program.Wait()
			stopping()
			return outcome(ctx, failure)
		case s := <-l.signals:
			if isReload(s) && spec.Reload != nil {
				reload(ctx, spec, l.tell)
				continue
			}
			stopping()
			cancel()
			l.release()
			l.signals = nil
		}
	}
}

func reload(ctx context.Context, spec Spec, tell func(string)) {
	tell("STATUS=reloading")
	if err := spec.Reload(ctx); err != nil {
		tell("STATUS=reload failed, the old configuration stays: " + oneLine(err.Error()))
		return
	}
	tell("STATUS=reloaded")
}

// outcome is what a program's end means: a cancelled context after a stop is how a clean end looks.
func outcome(ctx context.Context, failure error) error {
	if ctx.Err() != nil && errors.Is(failure, context.Canceled) {
		return nil
	}
	return failure
}

type readyKey struct{}

func withReady(ctx context.Context, ready func()) context.Context {
	return context.WithValue(ctx, readyKey{}, ready)
}

// Ready tells the manager that the program serves now. It is for programs with [Spec].ManualReady, counts once, and
// does nothing under a context that did not come from [Run] or [RunManaged].
func Ready(ctx context.Context) {
	if ready, ok := ctx.Value(readyKey{}).(func()); ok {
		ready()
	}
}
