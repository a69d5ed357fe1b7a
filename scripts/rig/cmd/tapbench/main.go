//go:build linux

// Command tapbench measures Tapline on the machine it runs on, with the shipped programs and the real PC/SC service.
//
// scripts/bench builds everything and calls it; it is the one way to rerun a figure that the documentation states. One JSON object a
// line and case with --json, a table without.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
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

// result is one case of a benchmark. The names are the public form: keep them.
type result struct {
	Bench   string  `json:"bench"`
	Case    string  `json:"case"`
	N       int     `json:"n"`
	P50     float64 `json:"p50_ms,omitempty"`
	P99     float64 `json:"p99_ms,omitempty"`
	CPU     float64 `json:"cpu_us_per_op,omitempty"`
	Percent float64 `json:"cpu_percent,omitempty"`
	RSS     float64 `json:"rss_mb"`
	Seconds float64 `json:"seconds"`
	By      string  `json:"decided_by,omitempty"`
}

// bench is what every benchmark is given.
type bench struct {
	bin, dir string
	n        int
	wait     time.Duration
	report   func(result) error
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
	)
	tap, _, _ := c.Find([]string{"tap"})
	tap.Flags().IntVar(&b.n, "taps", 300, "taps per case")
	idle, _, _ := c.Find([]string{"idle"})
	idle.Flags().DurationVar(&b.wait, "for", 60*time.Second, "how long to watch")
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

// printer prints results as they come.
func printer(w io.Writer, asJSON bool) func(result) error {
	if asJSON {
		e := json.NewEncoder(w)
		return func(r result) error { return e.Encode(r) }
	}
	head := true
	return func(r result) error {
		t := tabwriter.NewWriter(w, 10, 8, 2, ' ', 0)
		if head {
			fmt.Fprintln(t, "BENCH\tCASE\tN\tP50 ms\tP99 ms\tCPU us/op\tCPU %\tRSS MB\tSECONDS")
			head = false
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%.2f\t%.2f\t%.0f\t%.3f\t%.1f\t%.0f\n", r.Bench, r.Case, r.N, r.P50, r.P99, r.CPU, r.Percent, r.RSS, r.Seconds)
		return t.Flush()
	}
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
