package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"tapline/proto/checkpoint"
	"tapline/proto/witness"
)

type witnessFlags struct {
	listen, key, name, state string
	logs                     []string
}

func newWitness() *cobra.Command {
	var f witnessFlags
	c := &cobra.Command{
		Use: "witness", Short: "Cosign a broker's log, so that it cannot fork unseen", Args: cobra.NoArgs,
		Long: `Runs a witness: it remembers the newest checkpoint of each log that it knows, and cosigns one that continues it.
A broker that shows two histories to two people then needs the witness's help. So run it where the broker's
administrators have no hand: at the auditor's, in another plant.

The first start makes the key and prints the verifier key. Give it to the broker (witnesses: in broker.yaml, with the
URL of this witness) and to auditors (tapaudit verify --witness KEY). It speaks plain HTTP (C2SP tlog-witness); put a
proxy before it where TLS is wanted: checkpoints are signed and hold no record.

A checkpoint that forks the log is refused, reported and kept in the state folder.`,
		Example: `  tapaudit witness --name auditor.example/oslo --log "$LOGKEY" --listen :8645 --state /var/lib/tapline-witness`,
		RunE:    func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8645", "address to listen on, host:port")
	c.Flags().StringVar(&f.state, "state", "", "folder for what was seen; losing it is losing the witness's memory")
	c.Flags().StringVar(&f.key, "key", "", "file of the witness's private key (default: witness.key in the state folder)")
	c.Flags().StringVar(&f.name, "name", "", "name of the witness, for the first start; a URL without scheme, such as auditor.example/oslo")
	c.Flags().StringArrayVar(&f.logs, "log", nil, "verifier key of a log (tapctl log key); may be repeated")
	return c
}

func (f witnessFlags) run(c *cobra.Command) error {
	if f.state == "" {
		return hint(errors.New("no --state"), "name a folder that is backed up and never put back to an older copy")
	}
	var logs []checkpoint.Key
	for _, s := range f.logs {
		k, err := checkpoint.ParseKey(s)
		if err != nil {
			return hint(fmt.Errorf("--log %q: %w", s, err), "tapctl log key prints it")
		}
		logs = append(logs, k)
	}
	if len(logs) == 0 {
		return hint(errors.New("no --log"), "tapctl log key prints the key of a broker's log")
	}
	errs := c.ErrOrStderr()
	alarm := func(origin, what string) { fmt.Fprintf(errs, "ALARM: %s: %s\n", origin, what) }
	if err := os.MkdirAll(f.state, 0o700); err != nil {
		return hint(err, "name a folder that can be written")
	}
	if f.key == "" {
		f.key = filepath.Join(f.state, "witness.key")
	}
	key, err := witness.LoadKey(f.key, f.name)
	if err != nil {
		return hint(err, "the first start wants --name; later ones read the key")
	}
	w, err := witness.New(key, logs, f.state, time.Now, alarm)
	if err != nil {
		return hint(err, "the state folder must be the one of this witness, whole")
	}
	l, err := new(net.ListenConfig).Listen(c.Context(), "tcp", f.listen)
	if err != nil {
		return hint(fmt.Errorf("listen on %s: %w", f.listen, err), "does another program use the port?")
	}
	fmt.Fprintf(c.OutOrStdout(), "witness    %s\nlistening  http://%s\n", key.Verifier(), l.Addr())
	return serveWitness(c.Context(), l, w)
}

// serveWitness serves until ctx ends.
func serveWitness(ctx context.Context, l net.Listener, w http.Handler) error {
	s := &http.Server{Handler: w, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	g, inner := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-inner.Done()
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return s.Shutdown(closing)
	})
	return g.Wait()
}
