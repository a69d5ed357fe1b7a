package agent

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"tapline/agent/session"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// show puts a change on the panel and before those who watch.
func (a *Agent) show(s screen) {
	a.enforce(s.who)
	now := presenceOf(a.Station(), s.who, s.mode, s.durable)
	var waits *taplinev1.Notice
	if s.waits != nil {
		waits = toNotice(*s.waits)
	}
	now.Unclaimed = toEmergencies(s.unclaimed)
	if s.notice == nil {
		a.panel.Show(s.who, s.durable)
		a.hub.publish(now, nil, waits)
		return
	}
	a.panel.Tell(*s.notice)
	a.hub.publish(now, toNotice(*s.notice), waits)
}

// Presence is who is here now.
func (a *Agent) Presence() *taplinev1.Presence { return a.hub.presence() }

// Watch returns the present state and then every change, until ctx ends or the reader of the channel is too slow.
func (a *Agent) Watch(ctx context.Context) <-chan *taplinev1.WatchPresenceResponse {
	return a.hub.watch(ctx)
}

// EndSession ends the session or the emergency of that name, durably, or calls off the tap that waits under it.
func (a *Agent) EndSession(ctx context.Context, id string) error {
	if now := a.hub.presence(); now.GetSession() != id && now.GetEmergency().GetId() != id && a.hub.waiting() != id {
		return wire.E(wire.NotFound, "session %s is not in force", id)
	}
	err := a.loop.do(ctx, session.EndAsked{Session: record.SessionID(id)})
	if errors.Is(err, errEnded) {
		return wire.E(wire.Unavailable, "%w", err)
	}
	return err
}

// ClaimBadge asks the broker for a badge that was refused here as unknown, for whoever is here or for a person with their PIN.
func (a *Agent) ClaimBadge(ctx context.Context, req *taplinev1.ClaimBadgeRequest) (*taplinev1.ClaimBadgeResponse, error) {
	ask := &taplinev1.RequestBadgeRequest{Code: req.GetCode(), Person: req.GetPerson(), Pin: req.GetPin()}
	if ask.GetPerson() == "" {
		if ask.Session = a.hub.presence().GetSession(); ask.Session == "" {
			return nil, wire.E(wire.Precondition, "nobody is here: tap a badge that is yours first, or give your ID and PIN")
		}
	}
	r, err := a.line.RequestBadge(ctx, ask)
	if err != nil {
		return nil, err
	}
	return &taplinev1.ClaimBadgeResponse{Person: r.GetPerson(), Approved: r.GetApproved(), ExpiresAt: r.GetExpiresAt()}, nil
}

// Status tells a technician how the agent is.
func (a *Agent) Status() *taplinev1.GetStatusResponse {
	id, line, j := a.identity.Current(), a.line.State(), a.journal.Status()
	state, half := a.clock.State()
	room, low := a.room.last()
	s := &taplinev1.GetStatusResponse{
		Build: a.opts.Build, Station: string(id.Station), Presence: a.hub.presence(), Readers: a.desk.status(),
		Broker: &taplinev1.BrokerStatus{Address: line.Broker, Connected: a.line.Connected(), Since: stamp(line.Since), Reason: line.Reason},
		Journal: &taplinev1.JournalStatus{
			Seq: uint64(j.Head.Seq), Acked: uint64(j.Acked), Bytes: j.Bytes, FreeBytes: j.Free,
			Degraded: j.Degraded != "", Reason: j.Degraded, Epoch: uint64(j.Head.Epoch), DaysLeft: room.Days, Low: low,
		},
		ClockState: string(state), ClockError: durationpb.New(half), KeyStore: a.keys.Where(), Bundle: &taplinev1.BundleStatus{},
		Troubles: a.troubles.newestFirst(), StartedAt: stamp(a.started), CertificateExpiresAt: stamp(id.NotAfter),
		JoinSequence: id.JoinSequence, IdentityCondition: a.identity.Condition(), Today: toCoverage(a.today.day()), Mode: a.modeStatus(),
	}
	if b, ok := a.bundle.Status(a.clock.Trusted()); ok {
		s.Bundle = &taplinev1.BundleStatus{Sequence: b.Sequence, IssuedAt: stamp(b.IssuedAt), NotAfter: stamp(b.NotAfter), Tier: string(b.Tier)}
		s.BundleBadges = uint32(b.Badges) //nolint:gosec // a bundle has some thousands
	}
	n, p50, p99 := a.Latency()
	s.Taps = &taplinev1.TapStatus{Count: uint32(n), P50: durationpb.New(p50), P99: durationpb.New(p99)} //nolint:gosec // at most keepTotals
	s.Page, s.Findings = a.api.Address(), findings(s, a.clock.Trusted())
	return s
}

// status is the readers, by name.
func (d *desk) status() []*taplinev1.ReaderStatus {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []*taplinev1.ReaderStatus
	for _, name := range slices.Sorted(maps.Keys(d.readers)) {
		r := d.readers[name]
		list = append(list, &taplinev1.ReaderStatus{Name: string(name), Attached: r.attached, LastTapAt: stamp(r.lastTap), Reason: string(r.reason)})
	}
	return list
}

// working is the names of the readers that work.
func (d *desk) working() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for name, r := range d.readers {
		if r.attached {
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return names
}

// Latency is over the last taps, from the reader's event to the durable record.
func (a *Agent) Latency() (taps int, p50, p99 time.Duration) { return a.loop.timings.percentiles() }
