package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Unfit says why a server is not taken: what it acknowledges would not be safe, or it lacks what the store needs.
type Unfit struct {
	Fault string
	Hint  string // what to do about it
}

// Error says what is wrong and what to do.
func (u *Unfit) Error() string { return u.Fault + ": " + u.Hint }

// oldest is the oldest version of PostgreSQL that the store is tested with.
const oldest = 15

// fit looks whether a connection keeps what is written over it.
func fit(ctx context.Context, conn *pgx.Conn) error {
	var version int
	var fsync, pages, commit, encoding string
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('synchronous_commit'), current_setting('server_encoding')`).Scan(&version, &fsync, &pages, &commit, &encoding)
	if err != nil {
		return err
	}
	switch {
	case version/10000 < oldest:
		return &Unfit{fmt.Sprintf("PostgreSQL %d is too old", version/10000), fmt.Sprintf("version %d or later is needed", oldest)}
	case encoding != "UTF8":
		return &Unfit{"the database's encoding is " + encoding, "make it with ENCODING 'UTF8' TEMPLATE template0"}
	case fsync != "on":
		return &Unfit{"fsync is off", "a crash would lose acknowledged records: set fsync = on in postgresql.conf and reload"}
	case pages != "on":
		return &Unfit{"full_page_writes is off", "a crash would tear pages: set full_page_writes = on in postgresql.conf and reload"}
	case commit == "off" || commit == "local":
		return &Unfit{
			"synchronous_commit is " + commit,
			"acknowledged records could be lost: set it to on in postgresql.conf, and look at ALTER ROLE and ALTER DATABASE ... SET",
		}
	}
	return nil
}

// conditions asks what is allowed and yet no good for long.
func (e *postgres) conditions(ctx context.Context, read *sql.DB) []string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var all []string
	var standbys, commit string
	err := read.QueryRowContext(ctx, `SELECT current_setting('synchronous_standby_names'), current_setting('synchronous_commit')`).Scan(&standbys, &commit)
	switch {
	case err != nil:
		all = append(all, "the store does not answer")
	case strings.TrimSpace(standbys) == "":
		all = append(all, "PostgreSQL has no synchronous standby: what the broker acknowledges is on one machine only (synchronous_standby_names)")
	case commit == "remote_write":
		all = append(all, "synchronous_commit is remote_write: what the broker acknowledges may be in the memory of the standby's machine only, "+
			"and is lost if that machine goes down as it takes over: set synchronous_commit = on in postgresql.conf, and look at ALTER ROLE and ALTER DATABASE ... SET")
	}
	if cfg, err := e.source.config(); err == nil && !private(cfg) {
		all = append(all, "the connection to PostgreSQL may be read or changed on its way: add sslmode=verify-full to store")
	}
	return all
}

// private reports whether every way to the server is inside this machine, or encrypted to a server that proves who it is.
func private(cfg *pgx.ConnConfig) bool {
	good := func(host string, verified bool) bool {
		return verified || strings.HasPrefix(host, "/") || host == "localhost" || host == "127.0.0.1" || host == "::1"
	}
	all := good(cfg.Host, cfg.TLSConfig != nil && (!cfg.TLSConfig.InsecureSkipVerify || cfg.TLSConfig.VerifyPeerCertificate != nil))
	for _, f := range cfg.Fallbacks {
		all = all && good(f.Host, f.TLSConfig != nil && (!f.TLSConfig.InsecureSkipVerify || f.TLSConfig.VerifyPeerCertificate != nil))
	}
	return all
}
