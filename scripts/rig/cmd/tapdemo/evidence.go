//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tapline/scripts/rig"
)

// summary is what the demo found, for programs. Its field names are documented in the issue tracker and README: keep them.
type summary struct {
	Taps     int    `json:"taps"`
	Sessions int    `json:"sessions"`
	Records  int    `json:"records"`
	Verified bool   `json:"verified"`
	Tap      spread `json:"tap_to_attributed_ms"`
	Evidence string `json:"evidence"`
}

type spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// verdict is what tapaudit verify --json prints.
type verdict struct {
	OK      bool `json:"ok"`
	Records int  `json:"records"`
}

func (d *demo) evidence(ctx context.Context) error {
	d.say("\nWho was at the station when (tapctl session list)")
	table, err := d.plant.Ctl(ctx, "session", "list", "--station", stationID)
	if err != nil {
		return err
	}
	d.say("%s", table)
	d.say("The evidence")
	s := summary{Taps: d.taps, Evidence: filepath.Join(d.dir, "evidence")}
	if err := d.export(ctx, &s); err != nil {
		return err
	}
	timings, err := d.station.Timings()
	if err != nil {
		return err
	}
	totals := rig.Totals(timings)
	s.Tap = spread{rig.Percentile(totals, 50), rig.Percentile(totals, 99)}
	path := filepath.Join(d.dir, "summary.json")
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	d.say("\n%d taps, %d sessions, %d records, verified. Tap to durable, attributed session: p50 %.1f ms, p99 %.1f ms. %d s in all.",
		s.Taps, s.Sessions, s.Records, s.Tap.P50, s.Tap.P99, int(time.Since(d.begun).Seconds()))
	if d.keep {
		d.sayHow()
	}
	d.say("summary: %s", path)
	return nil
}

// export takes the evidence from the broker and verifies it, and the station's own journal beside it.
func (d *demo) export(ctx context.Context, s *summary) error {
	var sessions []json.RawMessage
	if err := d.plant.CtlJSON(ctx, &sessions, "session", "list"); err != nil {
		return err
	}
	s.Sessions = len(sessions)
	if err := d.step(ctx, "exported from the broker (tapctl export)", func(ctx context.Context) error {
		_, err := d.plant.Ctl(ctx, "export", s.Evidence)
		return err
	}); err != nil {
		return err
	}
	return d.step(ctx, "every record verified, offline (tapaudit verify)", func(ctx context.Context) error {
		v, err := d.verify(ctx, s.Evidence)
		if err != nil {
			return err
		}
		s.Records, s.Verified = v.Records, v.OK
		if !v.OK || v.Records == 0 {
			return fmt.Errorf("%d records, good: %v", v.Records, v.OK)
		}
		_, err = d.verify(ctx, d.station.Journal())
		return err
	})
}

func (d *demo) verify(ctx context.Context, path string) (v verdict, err error) {
	key, err := d.plant.Ctl(ctx, "trust")
	if err != nil {
		return v, err
	}
	out, err := d.plant.Run(ctx, "tapaudit", "verify", "--json", "--trust-key", strings.TrimSpace(key), path)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		return v, fmt.Errorf("tapaudit verify: %w", err)
	}
	return v, nil
}

// sayHow tells how to tap by hand while everything runs on.
func (d *demo) sayHow() {
	if d.own != "" {
		d.say("\nEverything is still running: lay badges on %s. In another terminal:\n  %s/tapagent status --config %s\nCtrl+C here ends it.", d.own, d.bin, d.station.Config())
		return
	}
	in := fmt.Sprintf("nsenter -t %d -m -n --wd=\"$PWD\" %s/", os.Getpid(), d.bin)
	d.say("\nEverything is still running. In another terminal:")
	for _, p := range d.people {
		d.say("  %stapcard --port %s --uid %X      # %s taps", in, port(d.plant.PCSC.Addr(0)), p.UID, p.Name)
	}
	d.say("  %stapagent status --config %s", in, d.station.Config())
	d.say("  %stapctl --identity %s session list", in, d.plant.Identity())
	d.say("Ctrl+C here ends it.")
}

func port(address string) string {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == ':' {
			return address[i+1:]
		}
	}
	return address
}

// wait leaves everything running until the person has seen enough.
func (d *demo) wait(ctx context.Context) error {
	<-ctx.Done()
	d.say("\nstopping")
	return nil
}
