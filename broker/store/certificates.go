package store

import (
	"fmt"
	"time"

	"tapline/proto/wire"
)

// Certificate is one that the broker issued to a client.
type Certificate struct {
	Serial    string // lower-case hex
	Role      wire.Role
	Subject   string
	Join      uint64 // join sequence; 0 for people
	NotBefore time.Time
	NotAfter  time.Time
	RevokedAt time.Time // zero if not
}

const certificateColumns = `serial, role, subject, join_sequence, not_before, not_after, revoked_at`

func scanCertificate(r scanner) (Certificate, error) {
	var c Certificate
	var join, before, after, revoked int64
	err := r.Scan(&c.Serial, &c.Role, &c.Subject, &join, &before, &after, &revoked)
	c.Join, c.NotBefore, c.NotAfter, c.RevokedAt = uint64(join), at(before), at(after), at(revoked)
	return c, err
}

// AddCertificate writes a new certificate.
func (tx *Tx) AddCertificate(c Certificate) error {
	_, err := tx.exec(`INSERT INTO certificates (`+certificateColumns+`) VALUES (?, ?, ?, ?, ?, ?, 0)`,
		c.Serial, string(c.Role), c.Subject, int64(c.Join), micro(c.NotBefore), micro(c.NotAfter))
	if err != nil {
		return fmt.Errorf("add certificate %s: %w", c.Serial, err)
	}
	return nil
}

// Certificate finds a certificate by its serial number.
func (tx *Tx) Certificate(serial string) (Certificate, error) {
	found, err := all(tx, scanCertificate, `SELECT `+certificateColumns+` FROM certificates WHERE serial = ?`, serial)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Certificate{}, fmt.Errorf("certificate %s: %w", serial, err)
	}
	return found[0], nil
}

// CertificatesOf lists the certificates of a subject that are not forgotten, newest first; at most limit.
func (tx *Tx) CertificatesOf(role wire.Role, subject string, limit int) ([]Certificate, error) {
	found, err := all(tx, scanCertificate, `SELECT `+certificateColumns+` FROM certificates WHERE role = ? AND subject = ?
		ORDER BY join_sequence DESC, not_after DESC, serial LIMIT ?`, string(role), subject, limit)
	if err != nil {
		return nil, fmt.Errorf("certificates of %s: %w", subject, err)
	}
	return found, nil
}

// RevokeOtherJoins revokes the certificates of a station but those of one join sequence number.
func (tx *Tx) RevokeOtherJoins(station string, spare uint64, now time.Time) error {
	_, err := tx.exec(`UPDATE certificates SET revoked_at = ? WHERE role = ? AND subject = ? AND join_sequence <> ? AND revoked_at = 0`,
		micro(now), string(wire.RoleStation), station, int64(spare))
	if err != nil {
		return fmt.Errorf("revoke certificates of %s: %w", station, err)
	}
	return nil
}

// RevokeCertificates revokes the certificates of a subject but one; an empty serial spares none.
func (tx *Tx) RevokeCertificates(role wire.Role, subject, spare string, now time.Time) error {
	_, err := tx.exec(`UPDATE certificates SET revoked_at = ? WHERE role = ? AND subject = ? AND serial <> ? AND revoked_at = 0`,
		micro(now), string(role), subject, spare)
	if err != nil {
		return fmt.Errorf("revoke certificates of %s: %w", subject, err)
	}
	return nil
}

// PurgeCertificates forgets certificates that ended before a time, but not the newest of a station, however long it is away.
func (tx *Tx) PurgeCertificates(before time.Time) error {
	_, err := tx.exec(`DELETE FROM certificates WHERE not_after < ? AND NOT (role = ? AND EXISTS (
		SELECT 1 FROM stations WHERE stations.id = certificates.subject AND stations.join_sequence = certificates.join_sequence))`,
		micro(before), string(wire.RoleStation))
	if err != nil {
		return fmt.Errorf("purge certificates: %w", err)
	}
	return nil
}
