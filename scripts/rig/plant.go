//go:build linux

package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tapline/reader/vcard/vpcd"
)

// Plant is a broker, its stations and the readers, all in one folder.
type Plant struct {
	dir string
	bin string

	Broker   *Process
	PCSC     *vpcd.Daemon
	stations []*Station
	slots    []slot // by reader
}

// startLimit is how long a program may take until it answers.
const startLimit = time.Minute

// New makes a plant in dir, which must be empty, from the programs in bin, with a PC/SC service that has a virtual reader for each of names; without
// names the plant uses the machine's own readers. Nothing but that service runs yet.
func New(ctx context.Context, dir, bin string, readers ...string) (*Plant, error) {
	return NewAt(ctx, loopback, dir, bin, readers...)
}

// loopback is where a broker listens unless it is told otherwise.
const loopback = "127.0.0.1"

// NewAt is New with a broker that listens on an address of its own, such as that of a Cable.
func NewAt(ctx context.Context, address, dir, bin string, readers ...string) (*Plant, error) {
	for _, d := range []string{"logs", "broker", "pcsc"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("make plant: %w", err)
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, fmt.Errorf("make plant: %w", err)
	}
	listen := fmt.Sprintf("%s:%d", address, port)
	p := &Plant{dir: dir, bin: bin, slots: make([]slot, len(readers))}
	config := filepath.Join(dir, "broker.yaml")
	if err := os.WriteFile(config, []byte(brokerConfig(listen, "127.0.0.1:0", filepath.Join(dir, "broker"))), 0o600); err != nil {
		return nil, fmt.Errorf("make plant: %w", err)
	}
	p.Broker = newProcess("broker", filepath.Join(dir, "logs"), nil, filepath.Join(bin, "tapbroker"), "serve", "--config", config)
	if len(readers) == 0 {
		return p, nil
	}
	if p.PCSC, err = vpcd.Start(ctx, filepath.Join(dir, "pcsc"), readers...); err != nil {
		return nil, fmt.Errorf("make plant: %w", err)
	}
	return p, nil
}

// brokerConfig is the configuration of a broker that listens on address and on metrics, with its data in dir.
func brokerConfig(address, metrics, dir string) string {
	host, _, _ := net.SplitHostPort(address)
	return fmt.Sprintf(`# Made by the rig.
listen: %s
data: %s
site: plant
hosts: [%s, localhost]
metrics_listen: %s
log:
  format: json
`, address, dir, host, metrics)
}

// freePort finds a TCP port that nobody listens on. In a namespace of our own nobody else takes it before we do.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Identity is the administrator's identity folder.
func (p *Plant) Identity() string { return filepath.Join(p.dir, "broker", "admin") }

// Dir is the plant's folder.
func (p *Plant) Dir() string { return p.dir }

// StartBroker starts the broker and waits until it answers.
func (p *Plant) StartBroker(ctx context.Context) error {
	if err := p.Broker.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return p.Broker.await(ctx, func(ctx context.Context) error {
		_, err := p.Ctl(ctx, "status", "--timeout", "2s")
		return err
	})
}

// Ctl runs tapctl and returns what it printed.
func (p *Plant) Ctl(ctx context.Context, args ...string) (string, error) {
	return p.run(ctx, "tapctl", append([]string{"--identity", p.Identity()}, args...)...)
}

// CtlJSON runs tapctl -o json and decodes what it printed.
func (p *Plant) CtlJSON(ctx context.Context, into any, args ...string) error {
	out, err := p.Ctl(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("tapctl %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// Exit is a program that ended with another code than 0.
type Exit struct {
	Command string
	Code    int
	Stdout  string
	Stderr  string
}

func (e *Exit) Error() string {
	return fmt.Sprintf("%s: exit %d: %s", e.Command, e.Code, strings.TrimSpace(e.Stderr))
}

// Run runs one of the plant's programs to its end and returns what it printed.
func (p *Plant) Run(ctx context.Context, program string, args ...string) (string, error) {
	return p.run(ctx, program, args...)
}

func (p *Plant) run(ctx context.Context, program string, args ...string) (string, error) {
	return p.runWith(ctx, nil, program, args...)
}

// RunWith is Run with standard input.
func (p *Plant) RunWith(ctx context.Context, stdin []byte, program string, args ...string) (string, error) {
	return p.runWith(ctx, stdin, program, args...)
}

func (p *Plant) runWith(ctx context.Context, stdin []byte, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, program), args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return out.String(), &Exit{Command: program + " " + strings.Join(args, " "), Code: exit.ExitCode(), Stdout: out.String(), Stderr: errs.String()}
	case err != nil:
		return "", fmt.Errorf("run %s: %w", program, err)
	}
	return out.String(), nil
}

// Program is one more program of the plant, which logs beside the others. It does not run yet, and Close does not end it.
func (p *Plant) Program(name string, env []string, program string, args ...string) *Process {
	return newProcess(name, filepath.Join(p.dir, "logs"), env, append([]string{filepath.Join(p.bin, program)}, args...)...)
}

// Close stops everything, agents first, so that their last records still reach the broker.
func (p *Plant) Close() error {
	var faults []error
	for _, s := range p.stations {
		faults = append(faults, s.Agent.Stop(), s.close())
	}
	if p.Broker != nil {
		faults = append(faults, p.Broker.Stop())
	}
	if p.PCSC != nil {
		faults = append(faults, p.PCSC.Stop())
	}
	return errors.Join(faults...)
}
