//go:build linux

package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/reader/vcard/vpcd"
)

// Station is one agent of the plant, with its state and its local socket.
type Station struct {
	ID    string
	Agent *Process
	// Local is the agent's local API.
	Local taplinev1.LocalServiceClient

	plant  *Plant
	dir    string
	config string
	conn   *grpc.ClientConn
	screen *screen
}

// Enrol makes a station: the broker gets to know it, a token is made, and the agent enrols with it. extra is appended to its configuration.
// The agent does not run yet.
func (p *Plant) Enrol(ctx context.Context, id, account, extra string) (*Station, error) {
	s, err := p.Prepare(id, extra)
	if err != nil {
		return nil, err
	}
	return s, s.enrol(ctx, account)
}

// EnrolOn is Enrol with the station's files on a disk of its own, and a serial reader beside those of PC/SC.
func (p *Plant) EnrolOn(ctx context.Context, disk, id, account, extra, serial string) (*Station, error) {
	s, err := p.prepareIn(disk, id, extra, serial)
	if err != nil {
		return nil, err
	}
	return s, s.enrol(ctx, account)
}

func (s *Station) enrol(ctx context.Context, account string) error {
	if _, err := s.plant.Ctl(ctx, "station", "put", s.ID, "--account", account); err != nil {
		return err
	}
	token, err := s.plant.Ctl(ctx, "token", "create", s.ID)
	if err != nil {
		return err
	}
	_, err = s.EnrolWith(ctx, token)
	return err
}

// Prepare makes the files of a station that is not enrolled.
func (p *Plant) Prepare(id, extra string) (*Station, error) {
	return p.prepareIn(filepath.Join(p.dir, "stations", strings.ReplaceAll(id, "/", "-")), id, extra, "")
}

// prepareIn has the station's files in dir, and a serial reader if one is named.
func (p *Plant) prepareIn(dir, id, extra, serial string) (*Station, error) {
	short := strings.ReplaceAll(id, "/", "-")
	s := &Station{ID: id, plant: p, dir: dir}
	if err := os.MkdirAll(s.StateDir(), 0o700); err != nil {
		return nil, fmt.Errorf("make station %s: %w", id, err)
	}
	s.config = filepath.Join(s.dir, "agent.yaml")
	if err := os.WriteFile(s.config, []byte(s.agentConfig(serial)+extra), 0o600); err != nil {
		return nil, fmt.Errorf("make station %s: %w", id, err)
	}
	s.Agent = newProcess("agent-"+short, filepath.Join(p.dir, "logs"), nil, filepath.Join(p.bin, "tapagent"), "run", "--config", s.config)
	conn, err := grpc.NewClient("unix:"+s.Socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("make station %s: %w", id, err)
	}
	s.conn, s.Local = conn, taplinev1.NewLocalServiceClient(conn)
	s.screen = newScreen(s.Local)
	p.stations = append(p.stations, s)
	return s, nil
}

func (s *Station) agentConfig(serial string) string {
	if serial != "" {
		serial = "  serial:\n    - device: " + serial + "\n"
	}
	return fmt.Sprintf(`# Made by the rig.
state_dir: %s
socket: %s
keystore: file
web:
  listen: ""
readers:
%s  pcsc:
    ignore: [%q]
log:
  format: json
`, s.StateDir(), s.Socket(), serial, vpcd.Spare)
}

// StateDir is where the agent keeps its state.
func (s *Station) StateDir() string { return filepath.Join(s.dir, "state") }

// Journal is the agent's journal, which tapaudit verifies.
func (s *Station) Journal() string { return filepath.Join(s.StateDir(), "journal") }

// Socket is the path of the local API.
func (s *Station) Socket() string { return filepath.Join(s.dir, "agent.sock") }

// Config is the path of the agent's configuration.
func (s *Station) Config() string { return s.config }

// EnrolWith runs `tapagent enrol` with a token and returns what it printed.
func (s *Station) EnrolWith(ctx context.Context, token string) (string, error) {
	return s.plant.runWith(ctx, []byte(token), "tapagent", "enrol", "--config", s.config)
}

// Start runs the agent and waits until its local API answers and a reader is attached.
func (s *Station) Start(ctx context.Context) error {
	if err := s.Agent.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return s.Agent.await(ctx, func(ctx context.Context) error {
		st, err := s.Status(ctx)
		if err != nil {
			return err
		}
		for _, r := range st.GetReaders() {
			if r.GetAttached() {
				return nil
			}
		}
		return fmt.Errorf("no reader is attached")
	})
}

// AwaitBroker waits until the agent's line to the broker stands, or until it is down.
func (s *Station) AwaitBroker(ctx context.Context, connected bool) error {
	return s.AwaitStatus(ctx, func(st *taplinev1.GetStatusResponse) bool { return st.GetBroker().GetConnected() == connected })
}

// AwaitDrained waits until every record is under a receipt.
func (s *Station) AwaitDrained(ctx context.Context) error {
	return s.AwaitStatus(ctx, func(st *taplinev1.GetStatusResponse) bool {
		return st.GetBroker().GetConnected() && st.GetJournal().GetAcked() == st.GetJournal().GetSeq()
	})
}

// AwaitBundle waits until the line to the broker stands and a grant bundle is in hand.
func (s *Station) AwaitBundle(ctx context.Context) error {
	return s.AwaitStatus(ctx, func(st *taplinev1.GetStatusResponse) bool {
		return st.GetBroker().GetConnected() && st.GetBundle().GetSequence() > 0
	})
}

// AwaitStatus waits until the agent's status is as wanted.
func (s *Station) AwaitStatus(ctx context.Context, wanted func(*taplinev1.GetStatusResponse) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return s.Agent.await(ctx, func(ctx context.Context) error {
		st, err := s.Status(ctx)
		if err != nil {
			return err
		}
		if !wanted(st) {
			return fmt.Errorf("status is %v", st)
		}
		return nil
	})
}

// Status asks the agent how it is.
func (s *Station) Status(ctx context.Context) (*taplinev1.GetStatusResponse, error) {
	return s.Local.GetStatus(ctx, &taplinev1.GetStatusRequest{})
}

func (s *Station) close() error {
	s.screen.close()
	return s.conn.Close()
}
