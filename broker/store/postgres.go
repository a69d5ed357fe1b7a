package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// Postgres says where a PostgreSQL database is.
type Postgres struct {
	// URL is postgres://user@host:port,host:port/database?sslmode=verify-full and so on, without the password. Of several hosts the one that takes
	// writes is used, so that a standby that was promoted is found.
	URL string
	// PasswordFile holds the password; it is read again for each connection. Empty: PGPASSFILE, or none is needed.
	PasswordFile string
}

// Fault says what is wrong with the address, nil if nothing is seen from here.
func (p Postgres) Fault() error {
	_, err := p.config()
	return err
}

// config reads the address. Errors don't repeat it: it might hold a password.
func (p Postgres) config() (*pgx.ConnConfig, error) {
	rest, ok := strings.CutPrefix(p.URL, "postgres://")
	if !ok {
		if rest, ok = strings.CutPrefix(p.URL, "postgresql://"); !ok {
			return nil, errors.New("not an address like postgres://user@host:5432/database")
		}
	}
	authority, _, _ := strings.Cut(rest, "/")
	if i := strings.LastIndex(authority, "@"); i >= 0 && strings.Contains(authority[:i], ":") || strings.Contains(rest, "password=") {
		return nil, errors.New("there is a password in the address: put it in a file, and name that as store_password_file")
	}
	cfg, err := pgx.ParseConfig(p.URL)
	if err != nil {
		return nil, errors.New("not an address like postgres://user@host:5432,host2:5432/database?sslmode=verify-full&sslrootcert=FILE")
	}
	return cfg, nil
}

const (
	// connectWithin bounds the try of one host.
	connectWithin = 3 * time.Second
	// deadAfter is when a peer that acknowledges nothing counts as dead.
	deadAfter = 8 * time.Second
)

// writerSession and readerSession are how a connection is set up. A broker that died or lost its network holds the writer's turn no longer than
// idle_in_transaction_session_timeout; nobody waits for the turn longer than lock_timeout. These are plain settings of the session and not
// parameters of its start, which a pooler between would refuse.
const (
	everySession = `SET standard_conforming_strings = on; SET tcp_keepalives_idle = 3; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;
		SET tcp_user_timeout = 8000; `
	writerSession = everySession + `SET idle_in_transaction_session_timeout = 5000; SET lock_timeout = 8000; SET statement_timeout = 10000`
	readerSession = everySession + `SET idle_in_transaction_session_timeout = 60000; SET lock_timeout = 8000; SET statement_timeout = 60000`
	schemaSession = everySession + `SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 60000; SET statement_timeout = 0`
)

// OpenPostgres opens a database of a PostgreSQL server. Its schema is not touched: see Migrate. It fails with an *Unfit if what the server
// acknowledges is not safe there.
func OpenPostgres(ctx context.Context, p Postgres) (*Store, error) {
	cfg, err := p.config()
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	e := &postgres{source: p, at: postgresPlace(cfg), numbered: numbered{made: map[string]string{}}}
	write, read := e.pool(cfg, writerSession), e.pool(cfg, readerSession)
	s := newStore(e, read, write)
	if err := write.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", e.at, err), write.Close(), read.Close())
	}
	return s, nil
}

// postgresPlace is the address without user and password.
func postgresPlace(cfg *pgx.ConnConfig) string {
	hosts := []string{net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port))}
	for _, f := range cfg.Fallbacks {
		if h := net.JoinHostPort(f.Host, fmt.Sprint(f.Port)); h != hosts[len(hosts)-1] { // one host is there twice, with TLS and without
			hosts = append(hosts, h)
		}
	}
	return "postgres " + strings.Join(hosts, ",") + "/" + cfg.Database
}

// postgres is a server over the network. Others may write to the same data; it may go away at any moment, be replaced by its standby, and leave
// open whether it committed.
type postgres struct {
	numbered
	source Postgres
	at     string
	// warned is set when the server warned in the middle of a commit: that it gave up waiting for its standby.
	warned atomic.Bool
}

// pool makes connections that are set up with the statements of session.
func (e *postgres) pool(cfg *pgx.ConnConfig, session string) *sql.DB {
	c := cfg.Copy()
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectWithin
	}
	c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	c.DialFunc = dialPostgres
	c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			e.warned.Store(true)
		}
	}
	before := stdlib.OptionBeforeConnect(func(_ context.Context, c *pgx.ConnConfig) error {
		password, err := e.source.password()
		if err == nil && password != "" {
			c.Password = password
		}
		return err
	})
	after := stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, session)
		if err == nil {
			err = fit(ctx, conn)
		}
		if err != nil {
			return errors.Join(err, conn.Close(ctx))
		}
		return nil
	})
	return sql.OpenDB(dialling{stdlib.GetConnector(*c, before, after)})
}

// password reads the password's file.
func (p Postgres) password() (string, error) {
	if p.PasswordFile == "" {
		return "", nil
	}
	b, err := os.ReadFile(p.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("store_password_file: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// wanted marks the context of a connection that we asked for.
type wanted struct{}

// dialling marks what it asks for.
type dialling struct{ driver.Connector }

// Connect makes a connection.
func (d dialling) Connect(ctx context.Context) (driver.Conn, error) {
	return d.Connector.Connect(context.WithValue(ctx, wanted{}, true))
}

// dialPostgres dials what we asked for, and nothing else: when a connection fails, the driver would dial the server again to cancel what runs there.
// A commit that waits for its standby is then not undone but shown to everybody, and lost when the standby takes over.
func dialPostgres(ctx context.Context, network, address string) (net.Conn, error) {
	if ctx.Value(wanted{}) == nil {
		return nil, errors.New("nothing is cancelled at the server")
	}
	d := net.Dialer{
		Timeout:         connectWithin,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: 2 * time.Second, Count: 3},
		Control:         dieAfter(deadAfter),
	}
	return d.DialContext(ctx, network, address)
}

func (*postgres) name() string    { return postgresName }
func (e *postgres) where() string { return e.at }

func (*postgres) snapshot() *sql.TxOptions {
	return &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
}

// passing reports whether an error is of a kind that goes away by itself.
func (*postgres) passing(err error) bool {
	var unfit *Unfit
	if errors.As(err, &unfit) {
		return false
	}
	var said *pgconn.PgError
	if errors.As(err, &said) {
		switch said.Code {
		case "40001", "40P01", // serialisation, deadlock
			"55P03",                                     // the turn did not come in time
			"57P01", "57P02", "57P03", "57P05", "57014", // the server stops, crashed, starts; what ran was broken off
			"25P03", "25P04", // our transaction was idle for too long: we, or the network, had stopped
			"25006", // it became a standby
			"53300", // no connection is free
			"58030": // it cannot read or write its files
			return true
		}
		return strings.HasPrefix(said.Code, "08")
	}
	var broken net.Error
	var connect *pgconn.ConnectError
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.As(err, &broken) || errors.As(err, &connect) ||
		pgconn.Timeout(err) || pgconn.SafeToRetry(err) || brokenOff(err)
}
