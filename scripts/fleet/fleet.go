package fleet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"tapline/agent/identity"
	"tapline/proto/ledger"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// Config says what fleet to make.
type Config struct {
	// Admin makes the people and the stations.
	Admin *Admin
	// Dir is where the stations' identities lie; it is made.
	Dir string
	// Stations is how many there are; People how many have a badge.
	Stations, People int
	// Brokers are called instead of those that the broker names, if there are any.
	Brokers []string
	// Durable has each station write and flush its records to a journal on the disk, as an agent does, before it goes on.
	Durable bool
	// Log may be nil.
	Log *zap.Logger
}

// Person is somebody with a badge.
type Person struct {
	ID    string
	Badge []byte // canonical number
}

// Fleet is a fleet of enrolled stations.
type Fleet struct {
	Stations []*Station
	People   []Person
	Gap      Gap
}

// enrolAtOnce is how many stations enrol at a time.
const enrolAtOnce = 8

// New makes people and stations at the broker and enrols every station.
func New(ctx context.Context, cfg Config) (*Fleet, error) {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	f := &Fleet{}
	for i := range cfg.People {
		p, err := hire(ctx, cfg.Admin, i+1)
		if err != nil {
			return nil, fmt.Errorf("hire person %d: %w", i+1, err)
		}
		f.People = append(f.People, p)
	}
	f.Stations = make([]*Station, cfg.Stations)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(enrolAtOnce)
	for i := range f.Stations {
		g.Go(func() (err error) {
			name := Name(i)
			if f.Stations[i], err = enrol(ctx, cfg, &f.Gap, name); err != nil {
				return fmt.Errorf("enrol %s: %w", name, err)
			}
			return nil
		})
	}
	return f, g.Wait()
}

// Name is the name of station i.
func Name(i int) string { return fmt.Sprintf("plant/hall-%d/line-%d/hmi-%d", i/64+1, i/8%8+1, i%8+1) }

// hire makes a person with a badge.
func hire(ctx context.Context, a *Admin, n int) (Person, error) {
	uid := binary.BigEndian.AppendUint32(nil, 0x04000000+uint32(n))
	p := Person{ID: fmt.Sprintf("p-%04d", n), Badge: append([]byte("uid\x0032\x00"), uid...)}
	_, err := a.PutPerson(ctx, &taplinev1.PutPersonRequest{Person: &taplinev1.PersonEntry{
		Id: p.ID, DisplayName: fmt.Sprintf("Person %d", n), Roles: []string{"operator"}, Source: "local",
	}})
	if err != nil {
		return p, err
	}
	_, err = a.AssignBadge(ctx, &taplinev1.AssignBadgeRequest{Person: p.ID, Badge: proof(p.Badge)})
	return p, err
}

func proof(badge []byte) *taplinev1.BadgeProof {
	return &taplinev1.BadgeProof{Number: badge, Technology: "iso14443a", Assurance: taplinev1.Assurance_ASSURANCE_CHIP_UID}
}

func enrol(ctx context.Context, cfg Config, gap *Gap, name string) (*Station, error) {
	_, err := cfg.Admin.PutStation(ctx, &taplinev1.PutStationRequest{Station: &taplinev1.Station{Id: name, Mode: taplinev1.Mode_MODE_ATTRIBUTE}})
	if err != nil {
		return nil, err
	}
	made, err := cfg.Admin.CreateToken(ctx, &taplinev1.CreateTokenRequest{Station: name})
	if err != nil {
		return nil, err
	}
	token, err := wire.ParseToken(made.GetSecret())
	if err != nil {
		return nil, err
	}
	if len(cfg.Brokers) > 0 {
		token.Brokers = cfg.Brokers
	}
	dir := filepath.Join(cfg.Dir, filepath.FromSlash(name))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ks := &keys{}
	m, err := identity.Enrol(ctx, dir, ks, token, identity.Options{Build: "fleet", Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	var disk *ledger.Ledger
	if cfg.Durable {
		if disk, _, err = ledger.Open(filepath.Join(dir, "journal"), ledger.Options{SegmentSize: segment, Reserve: -1}); err != nil {
			return nil, err
		}
	}
	return newStation(cfg, gap, m, ks, disk)
}

// segment keeps hundreds of journals on one disk small.
const segment = 128 << 10

// Close closes the journals on the disk.
func (f *Fleet) Close() error {
	var faults []error
	for _, s := range f.Stations {
		if s != nil && s.journal.disk != nil {
			faults = append(faults, s.journal.disk.Close())
		}
	}
	return errors.Join(faults...)
}

// Run keeps every station's line until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	var g errgroup.Group
	for _, s := range f.Stations {
		g.Go(func() error { return s.line.Run(ctx) })
	}
	return g.Wait()
}

// Await waits until ready says so of every station, or ctx ends.
func (f *Fleet) Await(ctx context.Context, what string, ready func(*Station) bool) error {
	for _, s := range f.Stations {
		if err := s.Await(ctx, ready); err != nil {
			return errors.Join(fmt.Errorf("station %s: waited in vain: %s", s.ID, what), err)
		}
	}
	return nil
}
