package revoke

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/broker"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/scripts/fleet"
)

// account is what every station runs under; it is counted, so that stations are not in each other's way.
const account = "press-hmi"

// plant is two brokers on one store, and the administrator at the first.
type plant struct {
	dir     string
	address [2]string
	admin   *fleet.Admin
	cancel  context.CancelFunc
	running *errgroup.Group
	names   atomic.Int64 // counts stations and people
}

func newPlant(ctx context.Context, dir string, configure func(*broker.Config)) (*plant, error) {
	p := &plant{dir: dir}
	for i := range p.address {
		address, err := freeAddress(ctx)
		if err != nil {
			return nil, err
		}
		p.address[i] = address
	}
	ctx, p.cancel = context.WithCancel(ctx)
	p.running, ctx = errgroup.WithContext(ctx)
	for _, address := range p.address {
		b, err := p.broker(ctx, address, configure)
		if err != nil {
			return nil, errors.Join(err, p.stop())
		}
		p.running.Go(func() error { return b.Run(ctx) })
	}
	var err error
	if p.admin, err = fleet.DialAdmin(filepath.Join(dir, "broker", "admin"), p.address[0]); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	_, err = p.admin.PutAccount(ctx, &taplinev1.PutAccountRequest{Account: &taplinev1.Account{Id: account, Driver: "none", Capacity: 1000, Stations: []string{"plant/"}}})
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (p *plant) broker(ctx context.Context, address string, configure func(*broker.Config)) (*broker.Broker, error) {
	cfg, err := broker.DefaultConfig()
	if err != nil {
		return nil, err
	}
	cfg.Listen, cfg.Data, cfg.MasterKey, cfg.MetricsListen = address, filepath.Join(p.dir, "broker"), "file", ""
	cfg.Hosts, cfg.Brokers, cfg.Log.Level = []string{"127.0.0.1"}, []string{address}, "error"
	if configure != nil {
		configure(&cfg)
	}
	return broker.New(ctx, cfg, broker.Options{Build: "revoke"})
}

// stop ends the brokers.
func (p *plant) stop() error {
	var first error
	if p.admin != nil {
		first = p.admin.Close()
	}
	p.cancel()
	if err := p.running.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		first = errors.Join(first, err)
	}
	return first
}

// hire makes a person with a badge.
func (p *plant) hire(ctx context.Context) (person, badge string, number []byte, err error) {
	n := p.names.Add(1)
	person = fmt.Sprintf("p-%05d", n)
	number = []byte(fmt.Sprintf("uid\x0032\x00\x04%c%c%c", n>>14&0x7f, n>>7&0x7f, n&0x7f))
	if _, err = p.admin.PutPerson(ctx, &taplinev1.PutPersonRequest{Person: entry(person, false)}); err != nil {
		return "", "", nil, err
	}
	r, err := p.admin.AssignBadge(ctx, &taplinev1.AssignBadgeRequest{Person: person, Badge: proof(number)})
	return person, r.GetBadge().GetId(), number, err
}

func entry(person string, suspended bool) *taplinev1.PersonEntry {
	return &taplinev1.PersonEntry{Id: person, DisplayName: "Person " + person, Roles: []string{"operator"}, Source: "local", Suspended: suspended}
}

func proof(number []byte) *taplinev1.BadgeProof {
	return &taplinev1.BadgeProof{Number: number, Technology: "iso14443a", Assurance: taplinev1.Assurance_ASSURANCE_CHIP_UID}
}

// wait lets a part of d pass that try i decides, so that tries meet the brokers' clocks at every moment of their beat.
func wait(ctx context.Context, i int, d time.Duration) error {
	timer := time.NewTimer(d * time.Duration(i*37%100) / 100)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
