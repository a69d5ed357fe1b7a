package admin

import (
	"context"
	"time"

	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Whom the rule of two people binds.
const (
	TwoPersonStaff    = "staff"    // everybody but the administrator
	TwoPersonEveryone = "everyone" // the administrator too
	TwoPersonNobody   = "nobody"
)

// twoPersonFor is how long who gave one credential must not give the other.
const twoPersonFor = 24 * time.Hour

// give notes that the caller gives a person a badge or a PIN, and refuses if the caller gave the other one lately: with both in one hand, one person
// alone could act in the name of another (21 CFR 11.200(a)(3)).
func (s *Service) give(ctx context.Context, tx *store.Tx, person record.PersonID, what store.Credential) error {
	other, now := store.CredentialBadge, s.Now()
	if what == store.CredentialBadge {
		other = store.CredentialPIN
	}
	actor, role := office.Caller(ctx), office.Role(ctx)
	if s.TwoPerson == TwoPersonEveryone || s.TwoPerson != TwoPersonNobody && role != wire.RoleAdmin {
		given, err := tx.CredentialGiven(person, other, actor)
		if err != nil {
			return err
		}
		if until := given.Add(twoPersonFor); !given.IsZero() && now.Before(until) {
			return wire.E(wire.Denied, "person: you gave %s the %s at %s; one person alone must not give both badge and PIN: a colleague has to do this, or you after %s",
				person, other, given.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
		}
	}
	return tx.GiveCredential(person, what, actor, now, now.Add(-twoPersonFor))
}
