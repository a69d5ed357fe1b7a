//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Cluster is one broker or several on one store, without stations: the far side of a simulated fleet.
type Cluster struct {
	Members []*Member
}

// Member is one broker of a cluster.
type Member struct {
	*Process
	Address string // where stations and administrators call
	Metrics string // host:port of /metrics
	dir     string
}

// NewCluster starts brokers in dir, one after the other, each with a data folder of its own and all with the master key of the first. settings
// are lines for the configuration of each: the store, where it is not the broker's own.
func NewCluster(ctx context.Context, dir, bin string, brokers int, settings string) (*Cluster, error) {
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o700); err != nil {
		return nil, fmt.Errorf("make cluster: %w", err)
	}
	c := &Cluster{}
	var addresses []string
	for i := range brokers {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		metrics, err := freePort()
		if err != nil {
			return nil, err
		}
		m := &Member{
			Address: fmt.Sprintf("127.0.0.1:%d", port), Metrics: fmt.Sprintf("127.0.0.1:%d", metrics), dir: filepath.Join(dir, fmt.Sprintf("broker-%d", i+1)),
		}
		config := m.dir + ".yaml"
		m.Process = newProcess(filepath.Base(m.dir), filepath.Join(dir, "logs"), nil, filepath.Join(bin, "tapbroker"), "serve", "--config", config)
		c.Members, addresses = append(c.Members, m), append(addresses, m.Address)
	}
	for i, m := range c.Members {
		err := errors.Join(m.prepare(addresses, settings), m.inherit(c.Members[0]))
		if err == nil {
			err = m.Begin(ctx)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start broker %d: %w", i+1, err), c.Close())
		}
	}
	return c, nil
}

func (m *Member) prepare(addresses []string, settings string) error {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	config := brokerConfig(m.Address, m.Metrics, m.dir) + "brokers: [" + strings.Join(addresses, ", ") + "]\n" + settings
	return os.WriteFile(m.dir+".yaml", []byte(config), 0o600)
}

// masterKey is the file that brokers on one store must share.
const masterKey = "master.key"

func (m *Member) inherit(from *Member) error {
	if m == from {
		return nil
	}
	key, err := os.ReadFile(filepath.Join(from.dir, masterKey))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(m.dir, masterKey), key, 0o600)
}

// Begin starts the broker and waits until it says that it is well.
func (m *Member) Begin(ctx context.Context) error {
	if err := m.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return m.await(ctx, func(ctx context.Context) error {
		_, err := m.get(ctx, "/healthz")
		return err
	})
}

func (m *Member) get(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.Metrics+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, resp.Status)
	}
	return string(b), err
}

// leads is what a broker's metrics say when it extends the log.
const leads = "\ntapline_log_leader 1\n"

// Leader is the broker that extends the log.
func (c *Cluster) Leader(ctx context.Context) (*Member, error) {
	for _, m := range c.Members {
		said, err := m.get(ctx, "/metrics")
		if err != nil {
			return nil, err
		}
		if strings.Contains(said, leads) {
			return m, nil
		}
	}
	return nil, errors.New("no broker says that it leads")
}

// Identity is the administrator's identity folder.
func (c *Cluster) Identity() string { return filepath.Join(c.Members[0].dir, "admin") }

// Close stops the brokers that run.
func (c *Cluster) Close() error {
	var faults []error
	for _, m := range c.Members {
		faults = append(faults, m.Stop())
	}
	return errors.Join(faults...)
}
