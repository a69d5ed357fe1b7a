package broker

import (
	"tapline/broker/ldap"
	"tapline/broker/secret"
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
	b.secrets = secret.New(c)
	b.stations.Secrets = b.secrets
	return nil
}
