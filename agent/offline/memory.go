package offline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"tapline/agent/statefile"
	"tapline/proto/record"
)

// Past is what a station remembers of a person. A zero time is never, or not known.
type Past struct {
	// LastHere is when they were last at the station.
	LastHere time.Time `json:"here"`
	// PINAt is when they last gave a good PIN here.
	PINAt time.Time `json:"pin,omitzero"`
}

const (
	memoryName = "people.json"
	remember   = 31 * 24 * time.Hour // for longer than any bundle is good
	mostPeople = 5000
)

// MemoryConfig says where the memory is kept.
type MemoryConfig struct {
	Dir  string
	Disk statefile.Disk // nil is the machine's
	// Now is the time to judge by.
	Now func() time.Time
	Log *zap.Logger
}

// Memory is who was at a station and when, so that a station without its broker asks for a PIN as its broker would. It is on the disk a moment after each
// session begins and ends; what a crash loses of it makes the station ask once more. Its methods may be called from any goroutine.
type Memory struct {
	cfg     MemoryConfig
	changed chan struct{}

	mu     sync.Mutex // guards people
	people map[record.PersonID]Past
}

// OpenMemory goes on with the memory of earlier runs. A file that cannot be read is a station that remembers nobody.
func OpenMemory(cfg MemoryConfig) (*Memory, error) {
	if cfg.Disk == nil {
		cfg.Disk = statefile.OS()
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	m := &Memory{cfg: cfg, changed: make(chan struct{}, 1), people: map[record.PersonID]Past{}}
	if _, err := statefile.Folder(cfg.Dir); err != nil {
		return nil, fmt.Errorf("open the memory of people: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(cfg.Dir, memoryName))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	var found map[record.PersonID]Past
	if err == nil {
		err = json.Unmarshal(text, &found)
	}
	if err != nil {
		cfg.Log.Warn("the memory of people cannot be read: the station asks for PINs anew", zap.Error(err))
		return m, nil
	}
	maps.Copy(m.people, found)
	return m, nil
}

// Of is what is remembered of a person.
func (m *Memory) Of(person record.PersonID) Past {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.people[person]
}

// Note learns from a record that the station writes now.
func (m *Memory) Note(p record.Payload) {
	switch p.Type {
	case record.SessionOpened, record.SessionHandedOver:
		if p.From != nil {
			m.here(p.From.Person, false)
		}
		m.here(p.Person, p.Badge != nil && slices.Contains(p.Badge.Factors, "pin"))
	case record.SessionClosed:
		if p.Reason != "agent-died" { // nobody knows until when they were here
			m.here(p.Person, false)
		}
	}
}

func (m *Memory) here(person record.PersonID, pin bool) {
	if person == "" {
		return
	}
	now := m.cfg.Now().UTC()
	m.mu.Lock()
	past := m.people[person]
	if past.LastHere = now; pin {
		past.PINAt = now
	}
	m.people[person] = past
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// Run writes what changes until ctx ends, and then once more.
func (m *Memory) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			m.write()
			return nil
		case <-m.changed:
			m.write()
		}
	}
}

// write puts the memory on the disk.
func (m *Memory) write() {
	text, err := json.Marshal(m.kept(m.cfg.Now()))
	if err == nil {
		err = statefile.Write(m.cfg.Disk, filepath.Join(m.cfg.Dir, memoryName), text)
	}
	if err != nil {
		m.cfg.Log.Warn("the memory of people is not on the disk", zap.Error(err))
	}
}

// kept forgets whoever was not here for long, and the longest gone when they are too many.
func (m *Memory) kept(now time.Time) map[record.PersonID]Past {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.people, func(_ record.PersonID, p Past) bool { return now.Sub(p.LastHere) > remember })
	if over := len(m.people) - mostPeople; over > 0 {
		byAge := slices.SortedFunc(maps.Keys(m.people), func(a, b record.PersonID) int { return m.people[a].LastHere.Compare(m.people[b].LastHere) })
		for _, person := range byAge[:over] {
			delete(m.people, person)
		}
	}
	return maps.Clone(m.people)
}
