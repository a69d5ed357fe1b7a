package agent

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strconv"

	"go.uber.org/zap"

	"tapline/agent/session"
	"tapline/agent/station"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// Gate is how the input of a graphical session is held.
type Gate struct {
	// User is the account that runs the graphical session; no other account's helper is listened to. Empty is any.
	User string `yaml:"user"`
	// Edge is where the banner stands: top or bottom.
	Edge string `yaml:"edge"`
	// Words is what it says; EmergencyWords what its button says. Latin, Greek and Cyrillic letters can be drawn.
	Words          string `yaml:"words"`
	EmergencyWords string `yaml:"emergency_words"`
}

// defaultGate is that of a station that says nothing about it.
func defaultGate() Gate {
	return Gate{Edge: "top", Words: "Tap your badge", EmergencyWords: "EMERGENCY: hold for 2 seconds"}
}

// Lock is how a session of the operating system is locked.
type Lock struct {
	// User is the account whose graphical session is locked; empty is that of whoever has one.
	User string `yaml:"user"`
}

// longestWords bounds what a banner says, in bytes.
const longestWords = 120

// check gives everything that is wrong with it.
func (g Gate) check() []error {
	var faults []error
	if g.Edge != "top" && g.Edge != "bottom" {
		faults = append(faults, fmt.Errorf("gate.edge %q: want top or bottom", g.Edge))
	}
	if g.Words == "" || len(g.Words) > longestWords {
		faults = append(faults, fmt.Errorf("gate.words: want 1 to %d bytes", longestWords))
	}
	if g.EmergencyWords == "" || len(g.EmergencyWords) > longestWords {
		faults = append(faults, fmt.Errorf("gate.emergency_words: want 1 to %d bytes", longestWords))
	}
	return append(faults, checkUser("gate.user", g.User)...)
}

// checkUser gives what is wrong with the name of an account of this machine.
func checkUser(key, name string) []error {
	if name == "" {
		return nil
	}
	if _, err := user.Lookup(name); err != nil {
		return []error{fmt.Errorf("%s %q: no such account on this machine", key, name)}
	}
	return nil
}

// wireMode makes what enforces.
func (a *Agent) wireMode() {
	a.helpers = station.NewHelpers(a.loop.touched)
	drivers := a.opts.Drivers
	if drivers == nil {
		drivers = a.drivers()
	}
	a.keeper = station.NewKeeper(drivers, a.modeChanged, a.log.Named("mode"))
}

// modeChanged puts a change of the mode in force into a record and before everybody.
func (a *Agent) modeChanged(s station.State) {
	why := s.Reason
	if why == "" {
		why = station.AsConfigured
	}
	_ = a.loop.post(context.Background(), input{event: session.ModeInForce{Mode: s.InForce, Reason: why}}) // ends with the loop
}

// enforce tells the keeper what the station is to be. It does not wait.
func (a *Agent) enforce(who session.Presence) {
	a.open.Store(who.Session != "" || who.Emergency.ID != "")
	a.wish()
}

func (a *Agent) wish() {
	a.keeper.Set(station.Wish{Mode: record.Mode(a.settings().Mode), Open: a.open.Load()})
}

// modeStatus tells a technician of it.
func (a *Agent) modeStatus() *taplinev1.ModeStatus {
	s := a.keeper.State()
	return &taplinev1.ModeStatus{Wanted: modeOf(s.Wanted), InForce: modeOf(s.InForce), Reason: string(s.Reason), Since: stamp(s.Since)}
}

// AttachHelper serves the helper in a graphical session. An error of kind wire.Denied says that another account runs that session.
func (a *Agent) AttachHelper(ctx context.Context, uid int, receive func() (*taplinev1.AttachHelperRequest, error), send func(*taplinev1.AttachHelperResponse) error) error {
	gate := a.settings().Gate
	if gate.User != "" {
		if of, err := user.Lookup(gate.User); err != nil || of.Uid != strconv.Itoa(uid) {
			return wire.E(wire.Denied, "by the configuration (gate.user) the graphical session is another account's")
		}
	}
	a.log.Info("helper attached", zap.Int("uid", uid))
	err := a.helpers.Attach(ctx, station.Line{
		Receive: func() (station.Report, error) {
			r, err := receive()
			return station.Report{
				Order: r.GetOrder(), Shut: r.GetShut(), Reason: helperReason(r.GetReason()), Used: r.GetUsed(), HeldByOther: r.GetHeldByOther(),
				Session: r.GetSession(), Display: r.GetDisplay(),
			}, err
		},
		Send: func(o station.Order) error {
			gate := a.settings().Gate
			return send(&taplinev1.AttachHelperResponse{
				Order: o.Number, Shut: o.Shut, Look: o.Look, Locked: o.Locked, Edge: gate.Edge, Words: gate.Words, EmergencyWords: gate.EmergencyWords,
			})
		},
	})
	a.log.Info("helper gone", zap.Int("uid", uid), zap.Error(err))
	if wire.KindOf(err) == wire.Invalid {
		return err
	}
	return nil
}

// helperReason takes only words that are known into records: any account may have said them.
func helperReason(said string) record.Reason {
	switch r := record.Reason(said); r {
	case "", station.Wayland, station.NoDisplay, station.GrabRefused, station.ReleasedByHand:
		return r
	}
	return station.Unsupported
}

// touched says that somebody used the station. It does not wait: while the loop is busy, the next one says it as well.
func (l *loop) touched() {
	select {
	case l.inputs <- input{event: session.Input{}}:
	default:
	}
}

// runMode keeps the station in its mode until ctx ends.
func (a *Agent) runMode(ctx context.Context) error {
	if err := a.keeper.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
