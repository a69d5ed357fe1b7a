package postgrestest

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Standby makes a synchronous standby of a server, in a folder that is there and empty, and waits until the server waits for it.
func (s *Server) Standby(ctx context.Context, dir string) (*Server, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	other := &Server{dir: dir, bin: s.bin, primary: s, databases: s.databases}
	if err := own(dir); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	// Names of standbys are compared as names in SQL.
	name := "s_" + strings.ToLower(filepath.Base(filepath.Dir(dir))+"_"+filepath.Base(dir))
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
	err = s.tool(ctx, "pg_basebackup", "-h", "127.0.0.1", "-p", fmt.Sprint(s.Port), "-U", user, "-D", other.data(), "-X", "stream", "-c", "fast", "--no-sync")
	if err != nil {
		return nil, err
	}
	if err := touch(filepath.Join(other.data(), "standby.signal")); err != nil {
		return nil, err
	}
	err = other.run(ctx, []string{"hot_standby=on", fmt.Sprintf("primary_conninfo=host=127.0.0.1 port=%d user=%s application_name=%s", s.Port, user, name)})
	if err != nil {
		return nil, err
	}
	err = s.Exec(ctx, `ALTER SYSTEM SET synchronous_standby_names = '`+name+`'`, `SELECT pg_reload_conf()`)
	if err == nil {
		err = s.synchronous(ctx)
	}
	if err != nil {
		_ = other.Stop()
		return nil, err
	}
	return other, nil
}

// synchronous waits until a standby is what commits wait for.
func (s *Server) synchronous(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return until(ctx, func() error {
		state, err := s.Ask(ctx, `SELECT coalesce(max(sync_state), 'none') FROM pg_stat_replication`)
		if err == nil && state != "sync" {
			err = fmt.Errorf("the standby is %s, not sync", state)
		}
		return err
	})
}

// Promote makes a standby the server that takes writes.
func (s *Server) Promote(ctx context.Context) error {
	_, err := s.Ask(ctx, `SELECT pg_promote(true, 60)::text`)
	return err
}
