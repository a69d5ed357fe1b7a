package secret

import (
	"cmp"
	"slices"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/record"
)

// Words for how a secret stands.
const (
	stateNone     = "none"
	stateCurrent  = "current"
	stateWaiting  = "waiting"
	stateChanging = "changing"
	stateByHand   = "by-hand"
	stateStuck    = "stuck"
)

// Status tells how the secrets stand, of one account if that is not empty, sorted by account and station. It opens none.
func Status(tx *store.Tx, account record.AccountID) ([]*taplinev1.AccountSecret, error) {
	current, err := tx.AccountSecretsIn(store.SecretCurrent, account)
	if err != nil {
		return nil, err
	}
	previous, err := tx.AccountSecretsIn(store.SecretPrevious, account)
	if err != nil {
		return nil, err
	}
	under, err := tx.OpenRotations(account)
	if err != nil {
		return nil, err
	}
	found := map[store.Slot]*taplinev1.AccountSecret{}
	at := func(s store.Slot) *taplinev1.AccountSecret {
		if found[s] == nil {
			found[s] = &taplinev1.AccountSecret{Account: string(s.Account), Station: string(s.Holder), State: stateNone}
		}
		return found[s]
	}
	for _, s := range current {
		m := at(s.Slot)
		m.Kept = cmp.Or(s.Kept, "store")
		m.Version, m.State, m.Since, m.SetBy, m.ReleasedAt = s.Version, stateCurrent, office.Stamp(s.Since), s.MadeBy, office.Stamp(s.ReleasedAt)
	}
	for _, s := range previous {
		at(s.Slot).OldUntil = office.Stamp(s.OldUntil)
	}
	for _, r := range under {
		m := at(r.Slot)
		m.State, m.Reason, m.Cause, m.Tries, m.ChangingSince = stateOf(r), r.Said, r.Cause, uint32(r.Tries), office.Stamp(r.BeganAt)
	}
	list := make([]*taplinev1.AccountSecret, 0, len(found))
	for _, m := range found {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b *taplinev1.AccountSecret) int { return cmp.Compare(Token(a), Token(b)) })
	return list, nil
}

// Token sorts and finds an entry of a list.
func Token(m *taplinev1.AccountSecret) string { return m.GetAccount() + " " + m.GetStation() }

func stateOf(r store.Rotation) string {
	switch {
	case r.State == store.RotationByHand:
		return stateByHand
	case r.Tries >= stuckAfter || r.Said == saidNeither:
		return stateStuck
	case r.State == store.RotationWanted:
		return stateWaiting
	}
	return stateChanging
}
