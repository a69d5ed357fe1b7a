// Package offline decides taps at the station, from the grant bundle that the broker signed for it.
//
// The agent asks it when the line to the broker is down or the broker took too long. The uplink hands it new bundles; the newest one is on
// the disk, beside a mark of the highest sequence number that was ever taken: a bundle below the mark is refused, so that nobody brings back a
// badge that was revoked by putting back an old file. With age a bundle grants less: see the tiers of package grant.
//
// It never asks the network, never sees a badge number, and grants nothing that the bundle does not say.
package offline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"tapline/agent/statefile"
	"tapline/proto/grant"
	"tapline/proto/record"
)

// ErrOlder says that a bundle is older than one that was taken before.
var ErrOlder = errors.New("an older bundle than the one before")

// Names in the folder.
const (
	bundleName = "bundle.dsse.json"
	markName   = "bundle.sequence"
)

// Config says whose bundles these are.
type Config struct {
	Dir      string
	Station  record.StationID
	Evidence record.PublicKey // the broker's
	Disk     statefile.Disk   // nil is the machine's
	Log      *zap.Logger
}

// Keeper holds the bundle. Its methods may be called from any goroutine.
type Keeper struct {
	cfg Config

	mu    sync.Mutex   // guards the fields below; held over a replacement
	table *grant.Table // nil before the first bundle
	mark  uint64
}

// Open finds the bundle that was taken last. One that is damaged, foreign or older than the mark is left aside with a warning: the station then
// waits for the broker's next one.
func Open(cfg Config) (*Keeper, error) {
	if cfg.Disk == nil {
		cfg.Disk = statefile.OS()
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if _, err := statefile.Folder(cfg.Dir); err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	k := &Keeper{cfg: cfg}
	if err := k.load(); err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	return k, nil
}

func (k *Keeper) load() error {
	b, err := os.ReadFile(filepath.Join(k.cfg.Dir, markName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		if k.mark, err = strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err != nil {
			k.cfg.Log.Warn("the mark of the highest bundle is unreadable", zap.Error(err))
		}
	}
	b, err = os.ReadFile(filepath.Join(k.cfg.Dir, bundleName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	table, err := grant.Open(b, k.cfg.Evidence, k.cfg.Station)
	switch {
	case err != nil:
		k.cfg.Log.Warn("the stored bundle is not used", zap.Error(err))
	case table.Bundle().Sequence < k.mark:
		k.cfg.Log.Warn("the stored bundle is not used: it was put back", zap.Uint64("sequence", table.Bundle().Sequence), zap.Uint64("mark", k.mark))
	default:
		k.table = table
	}
	return nil
}

// Take replaces the bundle, durably. The error matches ErrOlder, or says what is wrong with the bundle; the one before stays.
func (k *Keeper) Take(envelope []byte) error {
	table, err := grant.Open(envelope, k.cfg.Evidence, k.cfg.Station)
	if err != nil {
		return fmt.Errorf("take bundle: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	sequence := table.Bundle().Sequence
	if sequence < k.mark || k.table != nil && sequence == k.table.Bundle().Sequence {
		if sequence == k.mark {
			return nil // the one we have
		}
		return fmt.Errorf("take bundle %d: %w: %d", sequence, ErrOlder, k.mark)
	}
	// The bundle first: a mark without its bundle would leave the station with nothing after a crash between the two.
	if err := statefile.Write(k.cfg.Disk, filepath.Join(k.cfg.Dir, bundleName), envelope); err != nil {
		return fmt.Errorf("take bundle: %w", err)
	}
	if err := statefile.Write(k.cfg.Disk, filepath.Join(k.cfg.Dir, markName), strconv.AppendUint(nil, sequence, 10)); err != nil {
		return fmt.Errorf("take bundle: %w", err)
	}
	k.table, k.mark = table, sequence
	return nil
}

// Holder is whose badge it is and the verifier of their PIN, empty for none; false when the bundle does not name the badge.
func (k *Keeper) Holder(badge record.BadgeRef) (person record.PersonID, verifier string, known bool) {
	t := k.current()
	if t == nil {
		return "", "", false
	}
	g, known := t.Lookup(badge)
	return g.Person.ID, g.PIN, known
}

// Have is the sequence number of the bundle in hand, 0 for none.
func (k *Keeper) Have() uint64 {
	t := k.current()
	if t == nil {
		return 0
	}
	return t.Bundle().Sequence
}

// Status is the bundle in hand for a status screen; false when there is none.
func (k *Keeper) Status(now time.Time) (Status, bool) {
	t := k.current()
	if t == nil {
		return Status{}, false
	}
	b := t.Bundle()
	return Status{Sequence: b.Sequence, IssuedAt: b.IssuedAt, NotAfter: b.NotAfter, Tier: t.Tier(now), Badges: len(b.Grants)}, true
}

// Status is how a bundle is.
type Status struct {
	Sequence           uint64
	IssuedAt, NotAfter time.Time
	Tier               grant.TierName
	Badges             int
}

func (k *Keeper) current() *grant.Table {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.table
}
