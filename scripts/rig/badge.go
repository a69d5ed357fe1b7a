//go:build linux

package rig

import (
	"context"
	"encoding/hex"
	"fmt"

	"tapline/reader/vcard"
)

// Person is somebody with a badge.
type Person struct {
	ID   string
	Name string
	UID  []byte
}

// People makes n people with badges of their own.
func People(n int) []Person {
	names := []string{"Anna B.", "Ben C.", "Carla D.", "David E.", "Eva F.", "Felix G.", "Gita H.", "Hugo I."}
	all := make([]Person, n)
	for i := range all {
		name := names[i%len(names)]
		if i >= len(names) {
			name = fmt.Sprintf("%s %d", name, i/len(names)+1)
		}
		all[i] = Person{
			ID: fmt.Sprintf("p-%d", 1001+i), Name: name,
			UID: []byte{0x04, 0xA7, 0x5C, byte(i >> 8), byte(i), 0x3E, 0x80},
		}
	}
	return all
}

// Hire puts people and their badges into the broker's directory.
func (p *Plant) Hire(ctx context.Context, people ...Person) error {
	for _, one := range people {
		if _, err := p.Ctl(ctx, "person", "put", one.ID, "--name", one.Name, "--role", "operator"); err != nil {
			return err
		}
		if _, err := p.Ctl(ctx, "badge", "assign", one.ID, "--uid", hex.EncodeToString(one.UID)); err != nil {
			return err
		}
	}
	return nil
}

// Lay lays a badge on a reader of the plant.
func (p *Plant) Lay(ctx context.Context, reader int, uid []byte) (*vcard.Inserted, error) {
	return vcard.Insert(ctx, p.PCSC.Addr(reader), vcard.Classic1K(uid))
}

// Tap lays a badge on a reader, waits until the station shows what is wanted, and takes the badge away.
func (s *Station) Tap(ctx context.Context, reader int, uid []byte, wanted func(Seen) bool) (Seen, error) {
	mark := s.Mark()
	card, err := s.plant.Lay(ctx, reader, uid)
	if err != nil {
		return Seen{}, err
	}
	seen, err := s.Await(ctx, mark, wanted)
	if gone := card.Remove(); err == nil && gone != nil {
		err = gone
	}
	return seen, err
}
