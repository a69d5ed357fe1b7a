//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/scripts/rig"
)

const (
	stationID = "plant/press/line-4/hmi-1"
	account   = "press-hmi"
	tapLimit  = 10 * time.Second
)

// demo is one run.
type demo struct {
	bin, dir string
	keep     bool
	own      string // the machine's own reader; empty for a virtual one
	out      io.Writer

	plant   *rig.Plant
	station *rig.Station
	people  []rig.Person
	taps    int
	begun   time.Time
}

func (d *demo) run(ctx context.Context) (err error) {
	d.begun = time.Now()
	if err := d.folder(); err != nil {
		return err
	}
	d.say("Tapline demo: one press, three people, and a broker that goes away")
	d.say("Everything it makes is in %s\n", d.dir)
	defer func() {
		if d.plant != nil {
			err = errors.Join(err, d.plant.Close())
		}
	}()
	for _, act := range []func(context.Context) error{d.build, d.enrol, d.shift, d.outage, d.leave, d.evidence} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	if d.keep {
		return d.wait(ctx)
	}
	return nil
}

// folder makes the folder to work in; one that holds something already is refused.
func (d *demo) folder() (err error) {
	if d.dir == "" {
		d.dir, err = os.MkdirTemp("", "tapline-demo-")
		return err
	}
	if entries, err := os.ReadDir(d.dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("folder %s is not empty: name a new one", d.dir)
	}
	return os.MkdirAll(d.dir, 0o700)
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// step says what is done and how long it took.
func (d *demo) step(ctx context.Context, what string, do func(context.Context) error) error {
	begun := time.Now()
	if err := do(ctx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	d.say("  %-66s %6d ms", what, time.Since(begun).Milliseconds())
	return nil
}

func (d *demo) build(ctx context.Context) (err error) {
	d.say("The plant")
	what, readers := "PC/SC service with a virtual reader", []string{"Press 4"}
	if d.own != "" {
		what, readers = "this machine's reader "+d.own, nil
	}
	if err := d.step(ctx, what, func(ctx context.Context) (err error) {
		d.plant, err = rig.New(ctx, d.dir, d.bin, readers...)
		return err
	}); err != nil {
		return err
	}
	if err := d.step(ctx, "broker: makes its CA, its keys and its store", d.plant.StartBroker); err != nil {
		return err
	}
	d.people = rig.People(3)
	if d.own != "" {
		for i := range d.people {
			d.people[i].UID = nil // their badges are those that are laid on the reader
		}
	}
	return d.step(ctx, "one shared account, three people with a badge each", func(ctx context.Context) error {
		if _, err := d.plant.Ctl(ctx, "account", "put", account, "--station", "plant/press/"); err != nil {
			return err
		}
		return d.plant.Hire(ctx, d.people...)
	})
}

func (d *demo) enrol(ctx context.Context) error {
	if err := d.step(ctx, "station "+stationID+": one-use token, enrolled", func(ctx context.Context) (err error) {
		d.station, err = d.plant.Enrol(ctx, stationID, account, "")
		return err
	}); err != nil {
		return err
	}
	if err := d.step(ctx, "agent: reader attached, line to the broker stands, bundle fetched", func(ctx context.Context) error {
		if err := d.station.Start(ctx); err != nil {
			return err
		}
		return d.station.AwaitBundle(ctx)
	}); err != nil || d.own == "" {
		return err
	}
	return d.introduce(ctx)
}

// tap lays somebody's badge on the reader and says what the station shows.
func (d *demo) tap(ctx context.Context, who string, uid []byte, wanted func(rig.Seen) bool, shown func(rig.Seen) string) error {
	before, err := d.station.Timings()
	if err != nil {
		return err
	}
	seen, err := d.present(ctx, who, uid, wanted)
	if err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	d.taps++
	timing := d.timing(ctx, len(before))
	d.say("  %-44s -> %-28s %7.1f ms, by the %s", who, shown(seen), rig.Percentile([]time.Duration{timing.Total}, 100), timing.DecidedBy)
	return nil
}

// present lays a badge on the virtual reader, or asks for one.
func (d *demo) present(ctx context.Context, who string, uid []byte, wanted func(rig.Seen) bool) (rig.Seen, error) {
	if d.own != "" {
		return d.byHand(ctx, who, wanted)
	}
	ctx, cancel := context.WithTimeout(ctx, tapLimit)
	defer cancel()
	return d.station.Tap(ctx, 0, uid, wanted)
}

// timing is what the agent logged of the n-th tap; its log may lag the screen by a moment.
func (d *demo) timing(ctx context.Context, n int) rig.Timing {
	ctx, cancel := context.WithTimeout(ctx, tapLimit)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if all, err := d.station.Timings(); err == nil && len(all) > n {
			return all[len(all)-1]
		}
		select {
		case <-ctx.Done():
			return rig.Timing{DecidedBy: "?"}
		case <-again.C:
		}
	}
}

func here(s rig.Seen) string { return s.Presence.GetPerson().GetDisplayName() + " is here" }

func refused(s rig.Seen) string { return "refused, help code " + s.Notice.GetHelpCode() }

func (d *demo) shift(ctx context.Context) error {
	anna, ben := d.people[0], d.people[1]
	d.say("\nA shift (time: from the reader's event until the record is on disk)")
	if err := d.tap(ctx, "Anna taps in", anna.UID, rig.Named(anna.ID), here); err != nil {
		return err
	}
	if err := d.tap(ctx, "Ben takes over", ben.UID, rig.Named(ben.ID), here); err != nil {
		return err
	}
	stranger := []byte{0x04, 0xDE, 0xAD, 0xBE, 0xEF, 0x11, 0x90}
	if err := d.tap(ctx, "a badge that nobody has (any fourth card)", stranger, rig.Noticed(taplinev1.NoticeKind_NOTICE_KIND_REFUSED), refused); err != nil {
		return err
	}
	return d.tap(ctx, "Anna takes over", anna.UID, rig.Named(anna.ID), here)
}

func (d *demo) outage(ctx context.Context) error {
	ben, carla := d.people[1], d.people[2]
	d.say("\nThe broker goes away")
	if err := d.step(ctx, "broker killed (kill -9)", func(ctx context.Context) error {
		if err := d.plant.Broker.Kill(); err != nil {
			return err
		}
		return d.station.AwaitBroker(ctx, false)
	}); err != nil {
		return err
	}
	if err := d.tap(ctx, "Carla takes over, with no broker", carla.UID, rig.Named(carla.ID), here); err != nil {
		return err
	}
	if err := d.tap(ctx, "Ben takes over, with no broker", ben.UID, rig.Named(ben.ID), here); err != nil {
		return err
	}
	return d.step(ctx, "broker back: every record has its receipt", func(ctx context.Context) error {
		if err := d.plant.StartBroker(ctx); err != nil {
			return err
		}
		return d.station.AwaitDrained(ctx)
	})
}

func (d *demo) leave(ctx context.Context) error {
	carla := d.people[2]
	d.say("\nThe shift ends")
	if err := d.tap(ctx, "Carla takes over", carla.UID, rig.Named(carla.ID), here); err != nil {
		return err
	}
	return d.step(ctx, "Carla leaves: she ends her session at the panel", func(ctx context.Context) error {
		mark := d.station.Mark()
		who, err := d.station.Local.WhoIsHere(ctx, &taplinev1.WhoIsHereRequest{})
		if err != nil {
			return err
		}
		if _, err := d.station.Local.EndSession(ctx, &taplinev1.EndSessionRequest{Session: who.GetPresence().GetSession()}); err != nil {
			return err
		}
		if _, err := d.station.Await(ctx, mark, rig.Idle); err != nil {
			return err
		}
		return d.station.AwaitDrained(ctx)
	})
}
