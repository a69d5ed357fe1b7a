//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/term"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/reader"
	"tapline/reader/pcsc"
	"tapline/reader/vcard/vpcd"
	"tapline/scripts/rig"
)

const (
	// lookFor is how long the machine's PC/SC service may take to name a reader.
	lookFor = 1500 * time.Millisecond
	// handLimit is how long a person may take to lay a badge on the reader.
	handLimit = time.Minute
)

// ownReader is the machine's own reader; empty if there is none, or nobody to lay badges on it.
func ownReader(ctx context.Context) (name string) {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return ""
	}
	source, err := pcsc.New(pcsc.Config{Exclude: []string{vpcd.Spare, "Virtual PCD*"}})
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	_ = source.Run(ctx, func(e reader.Event) {
		if e.Kind == reader.Attached && name == "" {
			name = string(e.Reader)
			cancel()
		}
	})
	return name
}

// byHand asks for a badge and waits until the station shows what is wanted.
func (d *demo) byHand(ctx context.Context, who string, wanted func(rig.Seen) bool) (rig.Seen, error) {
	ctx, cancel := context.WithTimeout(ctx, handLimit)
	defer cancel()
	mark := d.station.Mark()
	d.say("  >> %s: lay the badge on %s now", who, d.own)
	return d.station.Await(ctx, mark, wanted)
}

// introduce gives each person a badge: an unknown one is laid on the reader, and the code that the station shows is given to tapctl.
func (d *demo) introduce(ctx context.Context) error {
	d.say("\nThree badges, one for each person")
	for _, p := range d.people {
		seen, err := d.byHand(ctx, p.Name+", a badge that is not known yet", rig.Noticed(taplinev1.NoticeKind_NOTICE_KIND_REFUSED))
		if err != nil {
			return err
		}
		if _, err := d.plant.Ctl(ctx, "badge", "assign", p.ID, "--tap", seen.Notice.GetHelpCode()); err != nil {
			return fmt.Errorf("badge of %s: %w", p.Name, err)
		}
	}
	return nil
}
