package broker

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"tapline/broker/directory"
	"tapline/broker/login"
	"tapline/broker/roster"
	"tapline/broker/store"
	"tapline/broker/sync"
	"tapline/broker/tlog"
)

// openDirectory makes the part that keeps people as an LDAP directory has them, if one is configured.
func (b *Broker) openDirectory(d directory.Directory, w roster.Writer) error {
	if b.cfg.LDAP == nil {
		return nil
	}
	var err error
	b.people, err = sync.New(sync.Options{
		Config: *b.cfg.LDAP, Store: b.store, Roster: w, Directory: d, Log: b.log.Named("ldap"), Now: b.now, Lead: b.leads,
	})
	return err
}

// openLogin makes the part that checks ID tokens, if an issuer is configured. It asks the issuer nothing yet.
func (b *Broker) openLogin() error {
	if b.cfg.OIDC == nil {
		return nil
	}
	i, err := login.New(*b.cfg.OIDC, b.log.Named("oidc"), b.now)
	if err == nil {
		b.officers.Issuer = i
	}
	return err
}

// leads says whether this broker leads those on the store; of the others nobody synchronises. The log takes the lead when it has something to do, so
// this looks and, if somebody else led or nobody does, asks for it too.
func (b *Broker) leads(ctx context.Context) (bool, error) {
	lead := false
	err := b.store.View(ctx, func(tx *store.Tx) error {
		l, err := tx.Leader()
		lead = err == nil && l.Holder == b.tree.Holder
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	if lead || err != nil {
		return lead, err
	}
	err = b.store.Update(ctx, func(tx *store.Tx) (err error) {
		_, lead, err = tx.Lead(b.tree.Holder, b.now(), tlog.Term)
		return err
	})
	return lead && err == nil, err
}

// directoryMetrics are the metrics of the synchronisation; none where there is none.
func (b *Broker) directoryMetrics() []prometheus.Collector {
	if b.people == nil {
		return nil
	}
	gauge := func(name, help string, value func(sync.State) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(b.people.State()) })
	}
	return []prometheus.Collector{
		gauge("tapline_sync_age_seconds", "Time since people were last as the LDAP directory has them; 0 before the first time.", func(s sync.State) float64 {
			if s.LastOK.IsZero() {
				return 0
			}
			return b.now().Sub(s.LastOK).Seconds()
		}),
		gauge("tapline_sync_people", "People that the LDAP directory has.", func(s sync.State) float64 { return float64(s.People) }),
		gauge("tapline_sync_faults", "Entries of the LDAP directory that are not taken as they are.", func(s sync.State) float64 { return float64(s.FaultCount) }),
		gauge("tapline_sync_held", "1 while the safety brake holds a synchronisation.", func(s sync.State) float64 {
			if s.Held != "" {
				return 1
			}
			return 0
		}),
	}
}
