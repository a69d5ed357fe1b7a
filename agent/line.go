package agent

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/agent/session"
	"tapline/agent/uplink"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// newLine makes the line to the broker.
func (a *Agent) newLine() Line {
	id := a.identity.Current()
	cfg := uplink.Config{
		Station: id.Station, Chain: id.Chain, TLS: a.identity.TLS(), Changed: a.identity.Changed, Moved: a.moved.wait,
		Brokers: func() []string {
			if own := a.settings().Brokers; len(own) > 0 {
				return own
			}
			return a.identity.Current().Brokers
		},
		EvidenceKey: func() record.PublicKey { return a.identity.Current().EvidenceKey },
		Journal:     a.journal, LastReceipt: a.journal.Receipt(),
		OnCommand: a.command, Beat: a.beat, Bundle: a.bundle.Have, OnBundle: a.bundle.Take,
		OnTime: func(broker time.Time) {
			a.clock.Anchor(broker)
			a.identity.ObserveTime(broker)
		},
		OnRefused: a.identity.Doubt,
		Log:       a.log.Named("uplink"),
	}
	if a.opts.Line != nil {
		return a.opts.Line(cfg)
	}
	return uplink.New(cfg)
}

// command carries out what the broker asks.
func (a *Agent) command(ctx context.Context, c *taplinev1.StreamCommandsResponse) *taplinev1.CommandResult {
	result := &taplinev1.CommandResult{Done: true}
	switch what := c.GetWhat().(type) {
	case *taplinev1.StreamCommandsResponse_EndSession:
		e := what.EndSession
		err := a.loop.do(ctx, session.Revoked{Session: record.SessionID(e.GetSession()), Cause: causeWord(e.GetCause())})
		if err != nil {
			return &taplinev1.CommandResult{Reason: "stopping"}
		}
	case *taplinev1.StreamCommandsResponse_RenewNow:
		a.identity.RenewNow()
	case *taplinev1.StreamCommandsResponse_Trust:
		if err := a.identity.ApplyTrust(what.Trust); err != nil {
			return &taplinev1.CommandResult{Reason: "not-stored"}
		}
	case *taplinev1.StreamCommandsResponse_RotateAccount:
		return a.rotateAccount(ctx, what.RotateAccount)
	default:
		return &taplinev1.CommandResult{Reason: "unsupported"}
	}
	return result
}

// beat says how the station is.
func (a *Agent) beat() *taplinev1.StationBeat {
	id, j := a.identity.Current(), a.journal.Status()
	b := &taplinev1.StationBeat{
		Chain: string(id.Chain), Seq: uint64(j.Head.Seq), Head: j.Head.Hash[:], Backlog: uint64(j.Head.Seq - min(j.Acked, j.Head.Seq)),
		Session: a.hub.presence().GetSession(), Mode: taplinev1.Mode_MODE_ATTRIBUTE, Bundle: a.bundle.Have(), JoinSequence: id.JoinSequence,
		Readers: a.desk.working(), Build: a.opts.Build, Wall: timestamppb.Now(), Conditions: a.conditions(j.Degraded), Trust: id.Trust,
	}
	if j.Head.Seq == 0 {
		b.Head = nil
	}
	return b
}

// conditions are what needs somebody's eye.
func (a *Agent) conditions(degraded string) []string {
	var list []string
	if degraded != "" {
		list = append(list, "journal-degraded")
	}
	if state, _ := a.clock.State(); state == record.ClockDiffers {
		list = append(list, "clock-differs")
	}
	if c := a.identity.Condition(); c != "" {
		list = append(list, c)
	}
	if alarm := a.line.State().Alarm; alarm != uplink.NoAlarm {
		list = append(list, string(alarm))
	}
	if len(a.desk.working()) == 0 {
		list = append(list, "no-reader")
	}
	return list
}
