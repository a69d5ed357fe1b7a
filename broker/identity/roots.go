package identity

import (
	"encoding/hex"
	"errors"
	"slices"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/vouch"
	"tapline/proto/wire"
)

const (
	// PublishFor is how long a new root is published before it signs: stations that were away as long as they may come back by themselves have
	// heard of it by then.
	PublishFor = MaxAway
	// RetireAfter is how long the old root stays trusted after the new one began to sign: as long as any certificate under it alone lives.
	RetireAfter = PersonLife + Backdate
)

// The steps of a rotation.
const (
	StepIssuing = "issuing"
	StepInit    = "init"
	StepIssue   = "issue"
	StepRetire  = "retire"
)

// unawareLimit bounds the list of stations that do not know the newest root.
const unawareLimit = 100

// Step takes the authority one step further, inside an update. The caller calls Refresh when the update is durable.
func (a *Authority) Step(tx *store.Tx, step string, force bool) error {
	c, err := a.readCA(tx)
	if err != nil {
		return err
	}
	now := a.now()
	switch step {
	case StepIssuing:
		err = c.addIssuer(a.site, now)
	case StepInit:
		err = c.publish(a.site, now)
	case StepIssue:
		err = c.promote(a.site, now, force)
	case StepRetire:
		err = a.retire(tx, &c, now, force)
	default:
		err = wire.E(wire.Invalid, "step: %q, want %s, %s, %s or %s", clip(step), StepIssuing, StepInit, StepIssue, StepRetire)
	}
	if err != nil {
		return err
	}
	return errors.Join(a.writeCA(tx, c), tx.Changed()) // the other brokers read it again at once
}

// publish makes a new root that stations are told to trust.
func (c *ca) publish(site string, now time.Time) error {
	if len(c.roots) > 1 {
		return wire.E(wire.Precondition, "a change of the root is under way: finish it first (tapctl ca status says where it stands)")
	}
	name := site + " Tapline root " + now.UTC().Format("2006-01-02 15:04")
	return c.addRoot(name, taplinev1.RootState_ROOT_STATE_PUBLISHED, now)
}

// promote lets the published root sign. The one before goes on certifying issuing CAs until it is retired, so that who knows only that one is not
// cut off.
func (c *ca) promote(site string, now time.Time, force bool) error {
	next, before := c.in(taplinev1.RootState_ROOT_STATE_PUBLISHED), c.issuing()
	if next == nil {
		return wire.E(wire.Precondition, "no new root is published: begin with the step init")
	}
	if from := next.since.Add(PublishFor); now.Before(from) && !force {
		return wire.E(wire.Precondition, "the new root is published since %s and signs from %s on, so that stations that are away can hear of it; force does it now",
			day(next.since), day(from))
	}
	before.state, before.since = taplinev1.RootState_ROOT_STATE_RETIRING, now.UTC()
	next.state, next.since = taplinev1.RootState_ROOT_STATE_ISSUING, now.UTC()
	return c.addIssuer(site, now)
}

// retire takes the old root away. Stations that do not know the new one would not believe the broker any more.
func (a *Authority) retire(tx *store.Tx, c *ca, now time.Time, force bool) error {
	old := c.in(taplinev1.RootState_ROOT_STATE_RETIRING)
	if old == nil {
		return wire.E(wire.Precondition, "no root is retiring: the steps before are init and issue")
	}
	if from := old.since.Add(RetireAfter); now.Before(from) && !force {
		return wire.E(wire.Precondition, "certificates under the old root alone are good until %s; force retires it now, and they are refused", day(from))
	}
	unaware, err := tx.UnawareOfTrust(c.version, unawareLimit)
	if err != nil {
		return err
	}
	if len(unaware) > 0 && !force {
		return wire.E(wire.Precondition, "%d enrolled stations do not know the new root yet, %s among them: bring them on the line, or force it and enrol them anew",
			len(unaware), unaware[0])
	}
	pin := wire.PinOf(old.cert)
	c.roots = slices.DeleteFunc(c.roots, func(r root) bool { return wire.PinOf(r.cert) == pin })
	c.version = max(c.version+1, uint64(max(0, now.Unix())))
	return c.addIssuer(a.site, now)
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// Describe tells how the authority is, inside a read.
func (a *Authority) Describe(tx *store.Tx) (*taplinev1.GetAuthorityResponse, error) {
	c, err := a.readCA(tx)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.GetAuthorityResponse{Trust: c.version}
	for _, r := range slices.Backward(c.roots) {
		m := &taplinev1.RootCertificate{
			Pin: wire.PinOf(r.cert).String(), State: r.state, Since: timestamppb.New(r.since), NotAfter: timestamppb.New(r.cert.NotAfter), Certificate: r.cert.Raw,
		}
		switch r.state {
		case taplinev1.RootState_ROOT_STATE_PUBLISHED:
			m.NextFrom = timestamppb.New(r.since.Add(PublishFor))
		case taplinev1.RootState_ROOT_STATE_RETIRING:
			m.NextFrom = timestamppb.New(r.since.Add(RetireAfter))
		}
		resp.Roots = append(resp.Roots, m)
	}
	if i := c.issuer(a.now()); i != nil {
		resp.IssuingSerial, resp.IssuingNotAfter = hex.EncodeToString(i.certs[0].SerialNumber.Bytes()), timestamppb.New(i.certs[0].NotAfter)
	}
	unaware, err := tx.UnawareOfTrust(c.version, unawareLimit)
	for _, id := range unaware {
		resp.Unaware = append(resp.Unaware, string(id))
	}
	return resp, err
}

// Condition is what an administrator should do about the authority; empty when nothing is due.
func (a *Authority) Condition() string {
	c, now := a.current(), a.now()
	r := c.issuing()
	switch {
	case now.Before(r.cert.NotBefore):
		return "the broker's clock is before the beginning of its own root: set the clock right"
	case r.cert.NotAfter.Sub(now) < 2*PublishFor && len(c.roots) == 1:
		return "the root ends on " + day(r.cert.NotAfter) + ": publish the next one (tapctl ca rotate init)"
	}
	return ""
}

// TrustVersion is the version of the trust statement in force.
func (a *Authority) TrustVersion() uint64 { return a.current().version }

// Trust is what stations are told to trust, signed.
func (r *Registrar) Trust() (*taplinev1.TrustUpdate, error) {
	c := r.Authority.current()
	roots := c.rootsDER()
	statement, err := vouch.NewTrust(r.Evidence, vouch.Trust{
		Version: c.version, Site: r.Authority.Site(), Roots: roots, Brokers: r.Brokers(), At: r.Now(),
	})
	if err != nil {
		return nil, err
	}
	return &taplinev1.TrustUpdate{Roots: roots, Brokers: r.Brokers(), Statement: statement}, nil
}

// NoteTrust keeps which trust statement a station says it has, so that no root is retired that somebody still needs.
func (r *Registrar) NoteTrust(tx *store.Tx, station record.StationID, version uint64) error {
	standing, err := tx.Standing(station)
	if err != nil || standing.Trust == version {
		return err
	}
	standing.Trust = version
	return tx.PutStanding(station, standing)
}
