package store

import (
	"fmt"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/record"
)

// Account reads one shared account.
func (tx *Tx) Account(id record.AccountID) (*taplinev1.Account, error) {
	e, read := tx.accounts[id]
	if !read {
		if err := tx.one(accountByID, []any{string(id)}, &e.doc, &e.revision); err != nil {
			return nil, fmt.Errorf("account %s: %w", id, err)
		}
		if tx.accounts == nil {
			tx.accounts = map[record.AccountID]entryDoc{}
		}
		tx.accounts[id] = e
	}
	return readAccount(e.doc, e.revision)
}

func readAccount(doc string, revision int64) (*taplinev1.Account, error) {
	a := &taplinev1.Account{}
	if err := readDocument(doc, a); err != nil {
		return nil, fmt.Errorf("read account: %w", err)
	}
	a.Revision = uint64(revision)
	return a, nil
}

// PutAccount writes a and gives its new revision. If a has a revision, the stored one must be the same: ErrRevision.
func (tx *Tx) PutAccount(a *taplinev1.Account) (uint64, error) {
	doc, err := document(a)
	if err != nil {
		return 0, fmt.Errorf("put account %s: %w", a.GetId(), err)
	}
	tx.accounts = nil
	revision, err := tx.put("accounts", a.GetId(), doc, a.GetRevision())
	if err != nil {
		return 0, fmt.Errorf("put account %s: %w", a.GetId(), err)
	}
	return revision, nil
}

// Accounts lists shared accounts by ID.
func (tx *Tx) Accounts(p Page) ([]*taplinev1.Account, error) {
	found, err := all(tx, func(r scanner) (*taplinev1.Account, error) {
		var doc string
		var revision int64
		if err := r.Scan(&doc, &revision); err != nil {
			return nil, err
		}
		return readAccount(doc, revision)
	}, `SELECT doc, revision FROM accounts WHERE id > ? AND LOWER(id) LIKE ? ESCAPE '\' ORDER BY id LIMIT ?`, p.After, p.like(), p.Size)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return found, nil
}

// AccountUser names a station that runs under an account; empty if none does.
func (tx *Tx) AccountUser(id record.AccountID) (record.StationID, error) {
	stations, err := tx.Stations(Page{Size: 1 << 30})
	if err != nil {
		return "", err
	}
	for _, s := range stations {
		if s.Entry.GetAccount() == string(id) {
			return s.ID(), nil
		}
	}
	return "", nil
}

// DeleteAccount removes a shared account.
func (tx *Tx) DeleteAccount(id record.AccountID) error {
	tx.accounts = nil
	return tx.remove("account", `DELETE FROM accounts WHERE id = ?`, string(id))
}
