package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrMissing says that PostgreSQL is not installed here.
var ErrMissing = errors.New("PostgreSQL 15 or later is not installed")

// Server is a running server.
type Server struct {
	Port int

	dir       string // of its data, its socket and its log
	bin       string
	cmd       *exec.Cmd
	primary   *Server // whom it follows, if it is a standby
	databases *atomic.Int64
	settings  []string
	template  string // what databases are copies of; empty: of nothing
}

// Launch makes a server in a folder that is there and empty, and waits until it answers. Each setting is NAME=VALUE.
func Launch(ctx context.Context, dir string, settings ...string) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil { // its processes are known by where they stand
		return nil, fmt.Errorf("postgres: %w", err)
	}
	s := &Server{dir: dir, bin: bin, databases: &atomic.Int64{}}
	if err := own(dir); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	if err := s.tool(ctx, "initdb", "-D", s.data(), "-U", user, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		return nil, err
	}
	return s, s.run(ctx, settings)
}

// user is the name of the server's only user.
const user = "postgres"

// programs finds the folder of PostgreSQL's programs.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	if onPath, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(onPath); err == nil {
			found = append(found, real)
		}
	}
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	for _, f := range found {
		if v := version(f); v == 0 || v >= 15 {
			return filepath.Dir(f), nil
		}
	}
	return "", ErrMissing
}

// version is the version in the path of Debian's packages; 0 if there is none.
func version(path string) int {
	v, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return v
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// tool runs one of PostgreSQL's programs to its end.
func (s *Server) tool(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	if err := lower(cmd); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// run starts the server on a free port and waits until it answers.
func (s *Server) run(ctx context.Context, settings []string) error {
	s.settings = settings
	if s.Port == 0 {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.Port = l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return err
		}
	}
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.Port)}
	for _, set := range append([]string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=" + s.dir, "shared_buffers=64MB", "max_connections=200", "wal_level=replica",
		"logging_collector=off", "log_line_prefix=%m [%p] ", "cluster_name=" + filepath.Base(s.dir),
	}, settings...) {
		args = append(args, "-c", set)
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the child has its own
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(s.bin, "postgres"), args...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, log, log
	if err := lower(s.cmd); err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	if err := s.answers(ctx); err != nil {
		said, _ := os.ReadFile(s.logFile())
		return errors.Join(fmt.Errorf("postgres does not start: %w\n%s", err, said), s.Stop())
	}
	return nil
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

// answers waits until the server takes a query.
func (s *Server) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return until(ctx, func() error { return s.Exec(ctx, "SELECT 1") })
}

// until tries again and again.
func until(ctx context.Context, try func() error) error {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}

// URL is the address of a database; of the others' too, if it shall be looked for at several servers.
func (s *Server) URL(database string, others ...*Server) string {
	hosts := []string{}
	for _, each := range append([]*Server{s}, others...) {
		hosts = append(hosts, "127.0.0.1:"+strconv.Itoa(each.Port))
	}
	return "postgres://" + user + "@" + strings.Join(hosts, ",") + "/" + database + "?sslmode=disable&connect_timeout=2"
}

// Exec runs statements as the server's administrator.
func (s *Server) Exec(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, s.URL(user))
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // what was to be done is done
	for _, each := range statements {
		if _, err := conn.Exec(ctx, each); err != nil {
			return fmt.Errorf("%s: %w", each, err)
		}
	}
	return nil
}

// Ask gives the one text that a query answers.
func (s *Server) Ask(ctx context.Context, query string) (string, error) {
	conn, err := pgx.Connect(ctx, s.URL(user))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx) //nolint:errcheck // the answer is here
	var answer string
	err = conn.QueryRow(ctx, query).Scan(&answer)
	return answer, err
}

// Database makes an empty database and gives its name. Its text sorts as in English, not by bytes.
func (s *Server) Database(ctx context.Context) (string, error) {
	name := "test_" + strconv.FormatInt(s.databases.Add(1), 10)
	if s.template != "" {
		return name, s.Exec(ctx, `CREATE DATABASE `+name+` TEMPLATE `+s.template)
	}
	return name, s.Exec(ctx, `CREATE DATABASE `+name+` TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'`)
}

// Stop ends the server and waits for it. One that has ended is no error.
func (s *Server) Stop() error {
	if s.cmd == nil || s.cmd.Process == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // at once: nobody keeps this data
	_ = s.cmd.Wait()
	s.cmd = nil
	return nil
}

// Kill ends every process of the server at once, as if the machine lost its power.
func (s *Server) Kill() error {
	if s.cmd == nil || s.cmd.Process == nil {
		return errors.New("postgres does not run")
	}
	if err := signal(s.cmd.Process.Pid, syscall.SIGKILL); err != nil { // first the one that makes the others
		return err
	}
	for {
		pids, err := s.processes()
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			if err := signal(pid, syscall.SIGKILL); err != nil {
				return err
			}
		}
		if slices.Contains(pids, s.cmd.Process.Pid) {
			_ = s.cmd.Wait()
		}
	}
	_ = s.cmd.Wait()
	s.cmd = nil
	return nil
}

// Restart starts a server that was stopped or killed, on its old port, data and settings, and with further settings.
func (s *Server) Restart(ctx context.Context, settings ...string) error {
	if err := os.Remove(filepath.Join(s.data(), "postmaster.pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return s.run(ctx, append(s.settings[:len(s.settings):len(s.settings)], settings...))
}

// Freeze makes every process of the server stand still; its connections stay open and silent.
func (s *Server) Freeze() error { return s.each(stop) }

// Thaw lets them go on.
func (s *Server) Thaw() error { return s.each(proceed) }

func (s *Server) each(sig syscall.Signal) error {
	pids, err := s.processes()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := signal(pid, sig); err != nil {
			return err
		}
	}
	return nil
}

// signal signals a process. One that has ended is no error.
func signal(pid int, sig syscall.Signal) error {
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Signal(sig)
	}
	if errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// processes are the server's processes that live: those that stand in its data folder. One whose parent was killed is among them.
func (s *Server) processes() ([]int, error) {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil, err
	}
	var all []int
	for _, link := range links {
		if at, err := os.Readlink(link); err != nil || at != s.data() {
			continue // another's, or it has ended meanwhile
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil {
			return nil, err
		}
		all = append(all, pid)
	}
	return all, nil
}
