//go:build linux

// Command tapbench measures Tapline on the machine it runs on, with the shipped programs and the real PC/SC service.
//
// scripts/bench builds everything and calls it; it is the one way to rerun a figure that the documentation states. One JSON object a
// line and case with --json, a table without.
package main

import (
	"context"
	"fmt"
	"io"
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
	var code int
	var again bool
	var err error
	if len(os.Args) < 2 || os.Args[1] != agentName { // which lives in the world of the bench that started it
		code, again, err = vpcd.Isolate(ctx)
	}
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
	n        int           // how much of what it counts
	wait     time.Duration // how long, where it watches
	million  int
	stations int
	halls    []int
	modes    []string
	only     []string
	markdown bool
	asJSON   bool
	out      io.Writer
	wards    int      // made so far
	broken   []string // cells that do not hold
	stores   []string
	seed     uint64
	say      io.Writer // progress
	report   func(any) error
}

// kind is one benchmark: what it shows, and the flag that says how much of it.
type kind struct {
	name, short  string
	count, use   string // flag of n; empty for none
	n            int
	length, span string // flag of wait; empty for none
	wait         time.Duration
	run          func(context.Context) error
}

func (b *bench) kinds() []kind {
	return []kind{
		{
			name: "tap", short: "Time from the reader's event to the durable, attributed session: broker there, behind a line that swallows all, stopped",
			count: "taps", n: 300, use: "taps per case", run: b.tap,
		},
		{name: "faults", short: "Every fault in every mode: is the view ever hidden, does the station open in need, does the day add up, does the evidence verify", run: b.faults},
		{name: "idle", short: "What an agent uses while nobody taps", length: "for", wait: time.Minute, span: "how long to watch", run: b.idle},
		{
			name: "decide", short: "Time and CPU of a decision at the broker: 1, 16 and 64 stations, on each store",
			count: "taps", n: 3000, use: "decisions per case", run: b.decide,
		},
		{
			name: "ingest", short: "Records that a broker takes in, in batches of 100, every signature verified, on each store; its memory over a million",
			count: "records", n: 100_000, use: "records per case", run: b.ingest,
		},
		{
			name: "failover", short: "Two brokers on PostgreSQL with a standby, under load: kill the leader, then the primary, and count",
			length: "phase", wait: 10 * time.Second, span: "time between the faults", run: b.failover,
		},
		{
			name: "renewal", short: "A fleet that lives with its certificates for years, on a line that loses a tenth of all requests and replies",
			count: "renewals", n: 100_000, use: "renewals in all", run: b.renewal,
		},
		{
			name: "shift", short: "A shift change: 12 or 13 people come to each station within minutes; from each tap to its durable, attributed session",
			length: "window", wait: 5 * time.Minute, span: "how long it takes until all have come", run: b.shift,
		},
		{
			name: "revoke", short: "From an administrator's command to the refusal at a connected station: stations, badges, people; at this broker and another",
			count: "tries", n: 100, use: "tries per case", run: b.revoke,
		},
	}
}

func command() *cobra.Command {
	var asJSON bool
	b := &bench{}
	c := &cobra.Command{
		Use: "bench", Short: "Measure Tapline on this machine", SilenceUsage: true, SilenceErrors: true,
		Long: `Each benchmark runs the shipped programs, or the code that is in them: agents with
the real PC/SC service and virtual readers that badges are laid on, or brokers
with a simulated fleet before them, on SQLite or a real PostgreSQL.

Compare figures of one run only: machines differ, and so do their days.`,
	}
	c.PersistentFlags().BoolVar(&asJSON, "json", false, "one JSON object a line and case")
	for _, k := range b.kinds() {
		one := b.command(k, &asJSON)
		switch f := one.Flags(); k.name {
		case "decide", "ingest":
			f.StringSliceVar(&b.stores, "store", []string{"sqlite", "postgres"}, "stores to measure")
			if k.name == "ingest" {
				f.IntVar(&b.million, "memory", 1_000_000, "records of the case that watches memory; 0 leaves it out")
			}
		case "failover":
			f.IntVar(&b.stations, "stations", 64, "simulated stations")
		case "faults":
			f.StringSliceVar(&b.modes, "mode", []string{"attribute", "gate"}, "modes to try; lock is tried in a container")
			f.StringSliceVar(&b.only, "fault", nil, "faults to try; all if none is named")
			f.BoolVar(&b.markdown, "markdown", false, "print the table that the documentation has")
		case "shift":
			f.StringSliceVar(&b.stores, "store", []string{"sqlite", "postgres"}, "stores to measure")
			f.IntSliceVar(&b.halls, "stations", []int{4, 400}, "simulated stations, a case each")
			f.Uint64Var(&b.seed, "seed", 1, "decides when each person comes")
		case "renewal":
			f.Uint64Var(&b.seed, "seed", 1, "decides what happens")
		}
		c.AddCommand(one)
	}
	c.AddCommand(agentCommand())
	return c
}

func (b *bench) command(k kind, asJSON *bool) *cobra.Command {
	var n int
	var wait time.Duration
	c := &cobra.Command{Use: k.name, Short: k.short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) (err error) {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find own programs: %w", err)
		}
		b.bin = filepath.Dir(self)
		if b.dir, err = os.MkdirTemp("", "tapline-bench-"); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		defer os.RemoveAll(b.dir)
		b.n, b.wait, b.asJSON, b.say, b.out, b.report = n, wait, *asJSON, c.ErrOrStderr(), c.OutOrStdout(), printer(c.OutOrStdout(), *asJSON)
		return k.run(c.Context())
	}}
	if k.count != "" {
		c.Flags().IntVar(&n, k.count, k.n, k.use)
	}
	if k.length != "" {
		c.Flags().DurationVar(&wait, k.length, k.wait, k.span)
	}
	return c
}

// plant starts a plant with one enrolled station, its agent and people.
func (b *bench) plant(ctx context.Context, people int, readers ...string) (*rig.Plant, *rig.Station, []rig.Person, error) {
	return b.plantAt(ctx, "127.0.0.1", people, readers...)
}

// plantAt is plant with a broker at an address of its own.
func (b *bench) plantAt(ctx context.Context, address string, people int, readers ...string) (*rig.Plant, *rig.Station, []rig.Person, error) {
	p, err := rig.NewAt(ctx, address, filepath.Join(b.dir, "plant"), b.bin, readers...)
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
