package store

import (
	"errors"
	"fmt"
	"time"

	"tapline/proto/record"
)

// Slot is one secret to keep: of a shared account, and, where each station has an account of its own under that name, of one station.
type Slot struct {
	Account record.AccountID
	Holder  record.StationID // empty for a secret that all stations share
}

// SecretState is what a version of an account's secret is. Of each state but the last a slot has one version at most.
type SecretState string

// The states of a version.
const (
	SecretPending  SecretState = "pending"  // made, and nobody knows yet whether it is in force
	SecretCurrent  SecretState = "current"  // in force
	SecretPrevious SecretState = "previous" // the one before; the system may go on taking it for a while
	SecretRetired  SecretState = "retired"  // gone
)

// AccountSecret is one version of the secret of a shared account.
type AccountSecret struct {
	Slot
	Version    uint64
	State      SecretState
	Kept       string // empty: Sealed; else the name of the vault that has it
	Sealed     []byte
	MadeAt     time.Time
	MadeBy     string
	Since      time.Time // in force since
	ReleasedAt time.Time // zero if it was never handed out
	OldUntil   time.Time // of a previous one: the system may take it until then
}

const accountSecretColumns = `account, holder, version, state, kept, sealed, made_at, made_by, since, released_at, old_until`

func (tx *Tx) accountSecrets(query string, args ...any) ([]AccountSecret, error) {
	found, err := all(tx, func(r scanner) (AccountSecret, error) {
		var s AccountSecret
		var version, made, since, released, old int64
		err := r.Scan(&s.Account, &s.Holder, &version, &s.State, &s.Kept, &s.Sealed, &made, &s.MadeBy, &since, &released, &old)
		s.Version, s.MadeAt, s.Since, s.ReleasedAt, s.OldUntil = uint64(version), at(made), at(since), at(released), at(old)
		return s, err
	}, `SELECT `+accountSecretColumns+` FROM account_secrets `+query, args...)
	if err != nil {
		return nil, fmt.Errorf("read account secrets: %w", err)
	}
	return found, nil
}

// AccountSecret reads the version of a slot that is in a state. ErrNotFound if none is.
func (tx *Tx) AccountSecret(s Slot, state SecretState) (AccountSecret, error) {
	found, err := tx.accountSecrets(`WHERE account = ? AND holder = ? AND state = ?`, string(s.Account), string(s.Holder), string(state))
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%s secret of %s: %w", state, s.Account, ErrNotFound)
	}
	if err != nil {
		return AccountSecret{}, err
	}
	return found[0], nil
}

// AccountSecretsIn reads every version in a state, of one account if that is not empty.
func (tx *Tx) AccountSecretsIn(state SecretState, account record.AccountID) ([]AccountSecret, error) {
	return tx.accountSecrets(`WHERE state = ? AND (? = '' OR account = ?) ORDER BY account, holder`, string(state), string(account), string(account))
}

// AddAccountSecret writes a new version and gives its number: 1, 2, 3 ... of its slot. ErrExists if another is in that state.
func (tx *Tx) AddAccountSecret(s AccountSecret) (uint64, error) {
	if _, err := tx.AccountSecret(s.Slot, s.State); !errors.Is(err, ErrNotFound) {
		return 0, errors.Join(err, ErrExists)
	}
	version, err := tx.NextSecretVersion(s.Slot)
	if err != nil {
		return 0, err
	}
	_, err = tx.exec(`INSERT INTO account_secrets (`+accountSecretColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)`, string(s.Account), string(s.Holder),
		int64(version), string(s.State), s.Kept, s.Sealed, micro(s.MadeAt), s.MadeBy, micro(s.Since))
	if err != nil {
		return 0, fmt.Errorf("add account secret: %w", err)
	}
	return version, nil
}

// NextSecretVersion is the number that the next version of a slot will have.
func (tx *Tx) NextSecretVersion(s Slot) (uint64, error) {
	var last int64
	err := tx.one(`SELECT COALESCE(MAX(version), 0) FROM account_secrets WHERE account = ? AND holder = ?`, []any{string(s.Account), string(s.Holder)}, &last)
	if err != nil {
		return 0, fmt.Errorf("number account secret: %w", err)
	}
	return uint64(last) + 1, nil
}

// SpendSecretVersion uses up the next number of a slot, because an outside vault has something else there already, which is then forgotten in its time.
// ErrTaken if it is not the next one any more.
func (tx *Tx) SpendSecretVersion(s Slot, version uint64, kept string, now time.Time) error {
	next, err := tx.NextSecretVersion(s)
	if err != nil {
		return err
	}
	if next != version {
		return fmt.Errorf("version %d of account %s: %w", version, s.Account, ErrTaken)
	}
	_, err = tx.exec(`INSERT INTO account_secrets (`+accountSecretColumns+`) VALUES (?, ?, ?, ?, ?, NULL, ?, '', 0, 0, 0)`, string(s.Account), string(s.Holder),
		int64(version), string(SecretRetired), kept, micro(now))
	if err != nil {
		return fmt.Errorf("spend account secret: %w", err)
	}
	return nil
}

// PromoteAccountSecret puts a slot's pending version in force: the current one is the previous one from now on, and what was previous is retired.
func (tx *Tx) PromoteAccountSecret(s Slot, now, oldUntil time.Time) error {
	if err := tx.retireIn(s, SecretPrevious); err != nil {
		return err
	}
	_, err := tx.exec(`UPDATE account_secrets SET state = ?, old_until = ? WHERE account = ? AND holder = ? AND state = ?`,
		string(SecretPrevious), micro(oldUntil), string(s.Account), string(s.Holder), string(SecretCurrent))
	if err != nil {
		return fmt.Errorf("promote account secret: %w", err)
	}
	n, err := tx.exec(`UPDATE account_secrets SET state = ?, since = ? WHERE account = ? AND holder = ? AND state = ?`,
		string(SecretCurrent), micro(now), string(s.Account), string(s.Holder), string(SecretPending))
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("promote account secret: %w", err)
	}
	return nil
}

// RetireAccountSecret takes the sealed secret out of the store that is in a state. Its row stays, to say that there was one.
func (tx *Tx) RetireAccountSecret(s Slot, state SecretState) error { return tx.retireIn(s, state) }

func (tx *Tx) retireIn(s Slot, state SecretState) error {
	_, err := tx.exec(`UPDATE account_secrets SET state = ?, sealed = NULL WHERE account = ? AND holder = ? AND state = ?`,
		string(SecretRetired), string(s.Account), string(s.Holder), string(state))
	if err != nil {
		return fmt.Errorf("retire account secret: %w", err)
	}
	return nil
}

// DropAccountSecrets retires every secret of an account and ends its rotations.
func (tx *Tx) DropAccountSecrets(account record.AccountID, now time.Time) error {
	_, err := tx.exec(`UPDATE account_secrets SET state = ?, sealed = NULL WHERE account = ?`, string(SecretRetired), string(account))
	if err == nil {
		_, err = tx.exec(`UPDATE rotations SET state = ?, ended_at = ? WHERE account = ? AND ended_at = 0`,
			string(RotationCancelled), micro(now), string(account))
	}
	if err != nil {
		return fmt.Errorf("drop secrets of account %s: %w", account, err)
	}
	return nil
}

// Release is one handing out of a secret.
type Release struct {
	ID      string
	Slot    Slot
	Version uint64
	Session record.SessionID
	Station record.StationID
	Person  record.PersonID
	Fence   record.Fence
	At      time.Time
}

// AddRelease notes that a secret is handed out.
func (tx *Tx) AddRelease(r Release) error {
	_, err := tx.exec(`INSERT INTO releases (id, account, holder, version, session, station, person, fence, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, string(r.Slot.Account), string(r.Slot.Holder), int64(r.Version), string(r.Session), string(r.Station), string(r.Person), int64(r.Fence), micro(r.At))
	if err == nil {
		_, err = tx.exec(`UPDATE account_secrets SET released_at = ? WHERE account = ? AND holder = ? AND version = ?`,
			micro(r.At), string(r.Slot.Account), string(r.Slot.Holder), int64(r.Version))
	}
	if err != nil {
		return fmt.Errorf("note release: %w", err)
	}
	return nil
}

// CountReleases counts what was handed out for a session, and at a station since a time.
func (tx *Tx) CountReleases(session record.SessionID, station record.StationID, since time.Time) (ofSession, ofStation int, err error) {
	if err = tx.one(`SELECT COUNT(*) FROM releases WHERE session = ?`, []any{string(session)}, &ofSession); err == nil {
		err = tx.one(`SELECT COUNT(*) FROM releases WHERE station = ? AND at > ?`, []any{string(station), micro(since)}, &ofStation)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("count releases: %w", err)
	}
	return ofSession, ofStation, nil
}

// ReleasedTo lists the stations that a version was handed to.
func (tx *Tx) ReleasedTo(s Slot, version uint64) ([]record.StationID, error) {
	found, err := all(tx, func(r scanner) (id record.StationID, err error) { return id, r.Scan(&id) },
		`SELECT DISTINCT station FROM releases WHERE account = ? AND holder = ? AND version = ? ORDER BY station`,
		string(s.Account), string(s.Holder), int64(version))
	if err != nil {
		return nil, fmt.Errorf("read releases: %w", err)
	}
	return found, nil
}

// HoldsOfAccount counts the leases in force of a slot's account: at its holder, or anywhere if it has none.
func (tx *Tx) HoldsOfAccount(s Slot, now time.Time) (int, error) {
	var n int
	err := tx.one(`SELECT COUNT(*) FROM leases WHERE ended_at = 0 AND expires_at > ? AND account = ? AND (? = '' OR station = ?)`,
		[]any{micro(now), string(s.Account), string(s.Holder), string(s.Holder)}, &n)
	if err != nil {
		return 0, fmt.Errorf("count leases of account %s: %w", s.Account, err)
	}
	return n, nil
}

// EmergencySince says whether the broker learnt after a time that an emergency under a slot's account has ended.
func (tx *Tx) EmergencySince(s Slot, since time.Time) (bool, error) {
	var n int
	err := tx.one(`SELECT COUNT(*) FROM sessions WHERE kind = ? AND account = ? AND (? = '' OR station = ?) AND closed_at > 0 AND end_received_at > ?`,
		[]any{string(Emergency), string(s.Account), string(s.Holder), string(s.Holder), micro(since)}, &n)
	if err != nil {
		return false, fmt.Errorf("look for emergencies: %w", err)
	}
	return n > 0, nil
}

// RetireVersion takes one version's sealed secret out of the store, if it still is in the state that it was read in.
func (tx *Tx) RetireVersion(s AccountSecret) error {
	_, err := tx.exec(`UPDATE account_secrets SET state = ?, sealed = NULL WHERE account = ? AND holder = ? AND version = ? AND state = ?`,
		string(SecretRetired), string(s.Account), string(s.Holder), int64(s.Version), string(s.State))
	if err != nil {
		return fmt.Errorf("retire account secret: %w", err)
	}
	return nil
}

// RetiredOutside reads retired versions that an outside vault still keeps.
func (tx *Tx) RetiredOutside() ([]AccountSecret, error) {
	return tx.accountSecrets(`WHERE state = ? AND kept <> '' ORDER BY account, holder, version LIMIT 100`, string(SecretRetired))
}

// ForgetOutside notes that an outside vault keeps a version no more.
func (tx *Tx) ForgetOutside(s AccountSecret) error {
	_, err := tx.exec(`UPDATE account_secrets SET kept = '' WHERE account = ? AND holder = ? AND version = ?`,
		string(s.Account), string(s.Holder), int64(s.Version))
	if err != nil {
		return fmt.Errorf("forget account secret: %w", err)
	}
	return nil
}
