package broker

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"tapline/broker/alarm"
	"tapline/broker/ldap"
	"tapline/broker/openbao"
	"tapline/broker/secret"
	"tapline/broker/store"
	"tapline/broker/vault"
)

// openSecrets makes the keeper of shared accounts' secrets.
func (b *Broker) openSecrets(v *vault.Vault) error {
	c := secret.Config{Store: b.store, Vault: v, Acts: b.acts, Board: b.board, Now: b.now, Log: b.log.Named("secrets")}
	if b.cfg.LDAP != nil {
		client, err := ldap.New(b.cfg.LDAP.Changing())
		if err != nil {
			return err
		}
		c.Directory = secret.LDAP{Client: client}
	}
	if b.cfg.OpenBao != nil {
		var err error
		if b.outside, err = openbao.New(*b.cfg.OpenBao, b.log.Named("openbao"), b.now); err != nil {
			return err
		}
		c.Outside = b.outside
	}
	b.secrets = secret.New(c)
	b.stations.Secrets = b.secrets
	return nil
}

// watchOutside looks after the outside vault: there is an alarm while it is away.
func (b *Broker) watchOutside(ctx context.Context) error {
	return b.outside.Run(ctx, openbao.Watcher{
		Gone: func(ctx context.Context, why error) {
			err := b.store.Update(ctx, func(tx *store.Tx) error {
				return alarm.Raise(tx, alarm.VaultAway, "", b.now(), "openbao %s: %v", b.cfg.OpenBao.Address, why)
			})
			if err != nil && ctx.Err() == nil {
				b.log.Error("the alarm of the outside vault could not be raised", zap.Error(err))
			}
		},
		Back: func(ctx context.Context) {
			err := b.store.Update(ctx, func(tx *store.Tx) error { return alarm.Over(tx, alarm.VaultAway, "", b.now(), "it is back") })
			if err != nil && ctx.Err() == nil {
				b.log.Error("the alarm of the outside vault could not be closed", zap.Error(err))
			}
			b.secrets.Nudge()
		},
	})
}

// outsideMetrics are the metrics of the outside vault; none where there is none.
func (b *Broker) outsideMetrics() []prometheus.Collector {
	if b.outside == nil {
		return nil
	}
	return []prometheus.Collector{prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tapline_openbao_away", Help: "1 while the outside vault cannot be used by this broker.",
	}, func() float64 {
		if b.outside.Away() != nil {
			return 1
		}
		return 0
	})}
}
