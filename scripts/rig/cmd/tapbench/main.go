//go:build linux

// Command tapbench measures Tapline on the machine it runs on, with the shipped programs and the real PC/SC service.
//
// scripts/bench builds everything and calls it; it is the one way to rerun a figure that the documentation states. One JSON object a
// line and case with --json, a table without.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tapline/reader/vcard/vpcd"
	"tapline/scripts/rig"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, again, err := vpcd.Isolate(ctx)
	if err == nil && !again {
		err = command().ExecuteContext(ctx)
	}
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		code = 1
	}
	os.Exit(code)
}

// bench is what every benchmark is given.
type bench struct {
	bin, dir string
	n        int
	million  int
	stores   []string
	wait     time.Duration
	report   func(any) error
}

func command() *cobra.Command {
	var asJSON bool
	b := &bench{}
	c := &cobra.Command{
		Use: "bench", Short: "Measure Tapline on this machine", SilenceUsage: true, SilenceErrors: true,
		Long: `Each benchmark runs the shipped programs: a broker, an agent, and the real
PC/SC service with virtual readers that badges are laid on.`,
	}
	c.PersistentFlags().BoolVar(&asJSON, "json", false, "one JSON object a line and case")
	c.AddCommand(
		b.named("tap", "Time from the reader's event to the durable, attributed session: online and offline", &asJSON, b.tap),
		b.named("idle", "What an agent uses while nobody taps", &asJSON, b.idle),
		b.named("decide", "Time and CPU of a decision at the broker: 1, 16 and 64 stations, on each store", &asJSON, b.decide),
		b.named("ingest", "Records that a broker takes in, in batches of 100, every signature verified, on each store; and its memory over a million", &asJSON, b.ingest),
	)
	tap, _, _ := c.Find([]string{"tap"})
	tap.Flags().IntVar(&b.n, "taps", 300, "taps per case")
	idle, _, _ := c.Find([]string{"idle"})
	idle.Flags().DurationVar(&b.wait, "for", 60*time.Second, "how long to watch")
	decide, _, _ := c.Find([]string{"decide"})
	decide.Flags().IntVar(&b.n, "taps", 3000, "decisions per case")
	ingest, _, _ := c.Find([]string{"ingest"})
	ingest.Flags().IntVar(&b.n, "records", 100_000, "records per case")
	ingest.Flags().IntVar(&b.million, "memory", 1_000_000, "records of the case that watches memory; 0 leaves it out")
	for _, one := range []*cobra.Command{decide, ingest} {
		one.Flags().StringSliceVar(&b.stores, "store", []string{"sqlite", "postgres"}, "stores to measure")
	}
	return c
}

func (b *bench) named(name, short string, asJSON *bool, run func(context.Context) error) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) (err error) {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find own programs: %w", err)
		}
		b.bin = filepath.Dir(self)
		if b.dir, err = os.MkdirTemp("", "tapline-bench-"); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		defer os.RemoveAll(b.dir)
		b.report = printer(c.OutOrStdout(), *asJSON)
		return run(c.Context())
	}}
}

// plant starts a plant with one enrolled station, its agent and people.
func (b *bench) plant(ctx context.Context, people int, readers ...string) (*rig.Plant, *rig.Station, []rig.Person, error) {
	p, err := rig.New(ctx, filepath.Join(b.dir, "plant"), b.bin, readers...)
	if err != nil {
		return nil, nil, nil, err
	}
	s, crew, err := b.staff(ctx, p, people)
	if err != nil {
		_ = p.Close()
		return nil, nil, nil, err
	}
	return p, s, crew, nil
}

func (b *bench) staff(ctx context.Context, p *rig.Plant, people int) (*rig.Station, []rig.Person, error) {
	if err := p.StartBroker(ctx); err != nil {
		return nil, nil, err
	}
	if _, err := p.Ctl(ctx, "account", "put", "press-hmi", "--station", "plant/"); err != nil {
		return nil, nil, err
	}
	crew := rig.People(people)
	if err := p.Hire(ctx, crew...); err != nil {
		return nil, nil, err
	}
	s, err := p.Enrol(ctx, "plant/press/line-4/hmi-1", "press-hmi", "")
	if err != nil {
		return nil, nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, nil, err
	}
	return s, crew, s.AwaitBundle(ctx)
}
