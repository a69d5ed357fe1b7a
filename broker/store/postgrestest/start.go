package postgrestest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Start runs a server for as long as a test runs. It skips the test where PostgreSQL is not installed.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := Launch(t.Context(), folder(t), settings...)
	if errors.Is(err, ErrMissing) {
		t.Skip("needs: postgresql")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

// WithStandby makes a synchronous standby for as long as a test runs.
func (s *Server) WithStandby(t testing.TB) *Server {
	t.Helper()
	other, err := s.Standby(t.Context(), folder(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Stop() })
	return other
}

// NewDatabase makes an empty database for a test and gives its address; of the others' too, if it shall be looked for at several servers.
func (s *Server) NewDatabase(t testing.TB, others ...*Server) string {
	t.Helper()
	name, err := s.Database(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return s.URL(name, others...)
}

// Prepare makes every later database a copy of one that prepare has filled: a schema takes a second to make, and a copy a tenth of it.
func (s *Server) Prepare(t testing.TB, prepare func(url string) error) {
	t.Helper()
	name, err := s.Database(t.Context())
	if err == nil {
		err = prepare(s.URL(name))
	}
	if err != nil {
		t.Fatal(err)
	}
	s.template = name
}

// folder is a folder that the server's user can get into, with a path that is short enough for a socket.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}
