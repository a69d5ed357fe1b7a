//go:build linux

package rig

import (
	"context"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

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

// Hire puts people and their badges into the broker's directory; those without a UID get no badge.
func (p *Plant) Hire(ctx context.Context, people ...Person) error {
	for _, one := range people {
		if _, err := p.Ctl(ctx, "person", "put", one.ID, "--name", one.Name, "--role", "operator"); err != nil {
			return err
		}
		if one.UID == nil {
			continue
		}
		if _, err := p.Ctl(ctx, "badge", "assign", one.ID, "--uid", hex.EncodeToString(one.UID)); err != nil {
			return err
		}
	}
	return nil
}

// emptyFor is how long a virtual reader must have been empty for its driver to see that a badge was taken away: it looks every 400 ms.
const emptyFor = 450 * time.Millisecond

// Laid is a badge that lies on a reader.
type Laid struct {
	card   *vcard.Inserted
	reader *slot
}

// slot is one virtual reader, with the moment at which its last badge was taken away.
type slot struct {
	mu      sync.Mutex // guards emptied
	emptied time.Time
}

// Lay lays a badge on a reader of the plant, as soon as the reader is ready for one.
func (p *Plant) Lay(ctx context.Context, reader int, uid []byte) (*Laid, error) {
	s := &p.slots[reader]
	s.mu.Lock()
	ready := time.NewTimer(time.Until(s.emptied.Add(emptyFor)))
	s.mu.Unlock()
	defer ready.Stop()
	select {
	case <-ready.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	card, err := vcard.Insert(ctx, p.PCSC.Addr(reader), vcard.Classic1K(uid))
	if err != nil {
		return nil, err
	}
	return &Laid{card, s}, nil
}

// Remove takes the badge away.
func (l *Laid) Remove() error {
	err := l.card.Remove()
	l.reader.mu.Lock()
	defer l.reader.mu.Unlock()
	l.reader.emptied = time.Now()
	return err
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
