package ldaptest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	ours "tapline/broker/ldap"
)

// Server is a directory server that runs.
type Server struct {
	// Config speaks to it as an account that may read.
	Config ours.Config
	// Base is the naming context.
	Base string

	t        testing.TB
	dir      string
	argv     []string
	url      string
	admin    string
	password string

	cmd   *exec.Cmd
	log   bytes.Buffer
	ended sync.WaitGroup
	conn  *ldap.Conn
}

// startLimit is how long a server may take to come up.
const startLimit = 30 * time.Second

// Start runs the server, again if it ran before.
func (s *Server) Start() {
	s.t.Helper()
	s.cmd = exec.Command(s.argv[0], s.argv[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(s.t, s.cmd.Start())
	cmd := s.cmd
	s.ended.Go(func() { _ = cmd.Wait() })
	Until(s.t, startLimit, func() bool {
		conn, err := s.connect()
		if err == nil {
			s.conn = conn
		}
		return err == nil
	}, "%s does not come up", s.argv[0])
}

// Stop ends the server.
func (s *Server) Stop() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	s.ended.Wait()
}

// Hang makes the server deaf until Resume: it returns when every thread of it stands still.
func (s *Server) Hang() {
	s.t.Helper()
	must(s.t, syscall.Kill(-s.cmd.Process.Pid, syscall.SIGSTOP))
	Until(s.t, 10*time.Second, s.still, "the server does not stand still")
}

func (s *Server) still() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.cmd.Process.Pid))
	must(s.t, err)
	for _, t := range threads {
		b, err := os.ReadFile(t)
		if _, state, _ := strings.Cut(string(b), ") "); err == nil && !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// Resume ends Hang.
func (s *Server) Resume() { must(s.t, syscall.Kill(-s.cmd.Process.Pid, syscall.SIGCONT)) }

func (s *Server) connect() (*ldap.Conn, error) {
	pem, err := os.ReadFile(s.Config.CAFile)
	must(s.t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conn, err := ldap.DialURL(s.url, ldap.DialWithTLSConfig(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}))
	if err != nil {
		return nil, err
	}
	conn.SetTimeout(startLimit)
	if err := conn.Bind(s.admin, s.password); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Attrs are the attributes of an entry.
type Attrs map[string][]string

// Add adds an entry.
func (s *Server) Add(dn string, attrs Attrs) {
	s.t.Helper()
	r := ldap.NewAddRequest(dn, nil)
	for name, values := range attrs {
		r.Attribute(name, values)
	}
	if err := s.conn.Add(r); err != nil {
		s.t.Fatalf("add %s: %v", dn, err)
	}
}

// Set replaces the values of an attribute; with none it takes it away.
func (s *Server) Set(dn, name string, values ...string) {
	s.t.Helper()
	r := ldap.NewModifyRequest(dn, nil)
	r.Replace(name, values)
	if err := s.conn.Modify(r); err != nil {
		s.t.Fatalf("set %s of %s: %v", name, dn, err)
	}
}

// Delete deletes an entry.
func (s *Server) Delete(dn string) {
	s.t.Helper()
	if err := s.conn.Del(ldap.NewDelRequest(dn, nil)); err != nil {
		s.t.Fatalf("delete %s: %v", dn, err)
	}
}

// Move gives an entry another name, and another place if above is not empty.
func (s *Server) Move(dn, name, above string) {
	s.t.Helper()
	if err := s.conn.ModifyDN(ldap.NewModifyDNRequest(dn, name, true, above)); err != nil {
		s.t.Fatalf("move %s: %v", dn, err)
	}
}

// Read reads the first value of an attribute as an administrator sees it.
func (s *Server) Read(dn, name string) string {
	s.t.Helper()
	r, err := s.conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{name}, nil))
	if err != nil || len(r.Entries) != 1 {
		s.t.Fatalf("read %s of %s: %v", name, dn, err)
	}
	return string(slices.Concat(r.Entries[0].GetRawAttributeValues(name)...))
}

// File writes a file with rights for its owner alone.
func File(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// Until polls until done, or fails the test when the time is up.
func Until(t testing.TB, limit time.Duration, done func() bool, format string, args ...any) {
	t.Helper()
	late, again := time.NewTimer(limit), time.NewTicker(20*time.Millisecond)
	defer late.Stop()
	defer again.Stop()
	for !done() {
		select {
		case <-late.C:
			t.Fatalf(format, args...)
		case <-again.C:
		}
	}
}
