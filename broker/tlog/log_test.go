package tlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"tapline/broker/store"
	"tapline/broker/store/postgrestest"
	"tapline/broker/vault"
	"tapline/proto/checkpoint"
	"tapline/proto/wire"
)

func TestEveryRecordIsInACheckpointAndProven(t *testing.T) { everyRecord(t, newRig(t)) }

func everyRecord(t *testing.T, r *rig) {
	data := t.TempDir()
	l := r.log(data)
	if _, err := l.Checkpoint(t.Context(), 0); wire.KindOf(err) != wire.NotFound {
		t.Errorf("before the first record: %v", err)
	}
	for _, n := range []int{1, 1, 254, 1, 300, 2500} {
		r.write(n)
		r.looks(l)
		r.published(l)
	}
	r.holds(data)
	s := r.published(l)
	for _, leaf := range []uint64{0, 255, 256, s.Size - 1} {
		path, signed, err := l.Inclusion(t.Context(), leaf, 0)
		if err != nil || len(signed) == 0 {
			t.Fatalf("leaf %d: %v", leaf, err)
		}
		r.must(checkpoint.CheckInclusion(s.Size, s.Root, leaf, r.leaves[leaf], path))
	}
	for _, from := range []uint64{0, 1, 255, 557, s.Size} {
		path, _, err := l.Consistency(t.Context(), from, 0)
		r.must(err)
		r.must(checkpoint.CheckConsistency(from, mth(r.leaves[:from]), s.Size, s.Root, path))
	}
	// A size that is in no checkpoint is proven all the same, and one that was is proven with it.
	for size, has := range map[uint64]bool{557: true, 558: false} {
		path, signed, err := l.Inclusion(t.Context(), 3, size)
		if err != nil || (len(signed) > 0) != has {
			t.Errorf("in size %d: checkpoint %q, %v", size, signed, err)
		}
		r.must(checkpoint.CheckInclusion(size, mth(r.leaves[:size]), 3, r.leaves[3], path))
	}
	state := l.State()
	if state.Size != s.Size || state.Lag != 0 || state.Epoch != 1 || len(l.Conditions()) != 0 {
		t.Errorf("state %+v, conditions %v", state, l.Conditions())
	}
}

// stranger reads the log as any client of tlog-tiles does: by paths alone.
type stranger struct {
	r *rig
	l *Log
}

func (stranger) Height() int { return 8 }

func (s stranger) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, want := range tiles {
		// The paths of package tlog have the height before the level.
		path := fmt.Sprintf("tile/%s", want.Path()[len("tile/8/"):])
		t, err := checkpoint.ParseTile(path)
		if err != nil {
			return nil, err
		}
		if all[i], err = s.l.Tile(s.r.t.Context(), t); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (stranger) SaveTiles([]tlog.Tile, [][]byte) {}

func TestAnotherClientReadsOurTilesAndBundles(t *testing.T) {
	r := newRig(t)
	l := r.log(t.TempDir())
	r.write(700)
	r.looks(l)
	s := r.published(l)
	reader := tlog.TileHashReader(tlog.Tree{N: int64(s.Size), Hash: s.Root}, stranger{r, l})
	for n := uint64(0); n < s.Size; n += checkpoint.TileWidth {
		tile := checkpoint.Tile{Entries: true, Index: n / checkpoint.TileWidth, Width: int(min(s.Size-n, checkpoint.TileWidth))}
		entries, err := l.Tile(t.Context(), tile)
		r.must(err)
		for i := n; len(entries) > 0; i++ {
			length := binary.BigEndian.Uint16(entries)
			leaf := tlog.RecordHash(entries[2 : 2+length])
			entries = entries[2+length:]
			proof, err := tlog.ProveRecord(int64(s.Size), int64(i), reader)
			r.must(err)
			r.must(tlog.CheckRecord(proof, int64(s.Size), s.Root, int64(i), leaf))
		}
	}
	for path, kind := range map[string]wire.Kind{
		"tile/0/003": wire.NotFound, "tile/0/002": wire.NotFound, "tile/1/000.p/3": wire.NotFound, "tile/2/000.p/1": wire.NotFound,
		"tile/1/000.p/2": wire.None, "tile/0/002.p/188": wire.None, "tile/0/000.p/1": wire.None, "tile/63/000.p/1": wire.NotFound,
	} {
		tile, err := checkpoint.ParseTile(path)
		r.must(err)
		if _, err := l.Tile(t.Context(), tile); wire.KindOf(err) != kind {
			t.Errorf("%s: %v, want %s", path, err, kind)
		}
	}
}

var errDied = errors.New("the process died")

// A process dies between any two writes of a checkpoint. What comes after it signs nothing else than what was committed.
func TestADeathAtAnyStepForksNothing(t *testing.T) {
	for _, at := range []step{stepCommit, stepSign, stepFile, stepPublish} {
		for _, more := range []int{0, 1, 300} {
			t.Run(fmt.Sprintf("%s, then %d records", at, more), func(t *testing.T) {
				r := newRig(t)
				data := t.TempDir()
				l := r.log(data)
				r.write(300)
				r.looks(l)
				r.write(77)
				l.fault = func(s step) error {
					if s == at {
						return errDied
					}
					return nil
				}
				_, err := l.Look(t.Context())
				wantErr(t, "the dying process", err, errDied)
				r.holds(data)
				r.must(r.store.Close())
				r.open()
				r.must(Check(t.Context(), r.store, data))
				r.write(more)
				r.now = r.now.Add(time.Hour)
				again := r.log(data)
				r.looks(again) // takes note of the leader
				r.now = r.now.Add(patience)
				r.looks(again) // watches it
				r.now = r.now.Add(Term)
				r.looks(again)
				r.published(again)
				r.holds(data)
			})
		}
	}
}

func TestAnotherBrokerTakesOverWithinATermAndNoneForks(t *testing.T) { takeOver(t, newRig(t)) }

func takeOver(t *testing.T, r *rig) {
	folders := []string{t.TempDir(), t.TempDir()}
	first, second := r.log(folders[0]), r.log(folders[1])
	if r.store.Shared() {
		second.Store = r.another()
	}
	r.write(100)
	r.looks(first)
	r.looks(second)
	r.holds(folders...)
	if _, c, ok, err := ReadFile(folders[1]); err != nil || !ok || c.Size != 100 {
		t.Errorf("the broker that looks on has %+v, %v, %v in its file", c, ok, err)
	}
	// Who is at rest for long loses nothing by it.
	r.now = r.now.Add(time.Hour)
	r.write(1)
	r.looks(second)
	r.looks(first)
	if s := r.published(second); s.Size != 101 || first.State().Epoch != 1 {
		t.Errorf("%d records in epoch %d, want 101 in the first", s.Size, first.State().Epoch)
	}
	// The first one dies.
	r.write(50)
	begun := r.now
	for second.State().Size < 151 {
		r.looks(second)
		r.now = r.now.Add(Every)
	}
	if took := r.now.Sub(begun); took > 2*Term {
		t.Errorf("taken over after %s", took)
	}
	if epoch := second.State().Epoch; epoch != 2 {
		t.Errorf("epoch %d, want 2", epoch)
	}
	// It was not dead. It goes on believing that it leads, and extends nothing.
	r.write(10)
	r.looks(first)
	if s := second.State(); s.Size != 151 {
		t.Errorf("a leader of the past extended the log to %d", s.Size)
	}
	r.looks(second)
	r.published(first)
	// A broker that stops in order is followed at once.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.must(second.Run(ctx))
	r.write(10)
	r.looks(first)
	r.published(first)
	r.holds(folders...)
}

func TestBrokersThatFightLeaveOneHistory(t *testing.T) { fight(t, newRig(t)) }

// fight has three brokers extend one log, whose clocks jump and whose writes fail.
func fight(t *testing.T, r *rig) {
	folders := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	var logs []*Log
	var g errgroup.Group
	stop := make(chan struct{})
	for i, data := range folders {
		l := r.log(data)
		if r.store.Shared() {
			l.Store = r.another()
		}
		dice := rand.New(rand.NewPCG(uint64(i), 7))
		l.Now = func() time.Time { return begin().Add(time.Duration(dice.Int64N(int64(time.Hour)))) } // a clock that leads it to take over
		l.fault = func(step) error {
			if dice.IntN(5) == 0 {
				return errDied
			}
			return nil
		}
		logs = append(logs, l)
		g.Go(func() error {
			for {
				select {
				case <-stop:
					return nil
				default:
				}
				if _, err := l.Look(t.Context()); err != nil && !errors.Is(err, errDied) {
					return err
				}
			}
		})
	}
	for range 60 {
		r.write(17)
	}
	close(stop)
	r.must(g.Wait())
	logs[0].fault = nil
	logs[0].Now = func() time.Time { r.now = r.now.Add(Term); return r.now }
	for range 10 {
		r.looks(logs[0])
	}
	r.published(logs[0])
	r.holds(folders...)
}

// On PostgreSQL each broker has connections of its own.
func TestOnPostgres(t *testing.T) {
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	server := postgrestest.Start(t)
	engine := func() *rig {
		url := server.NewDatabase(t)
		return newRigOn(t, func(string) (*store.Store, error) { return store.OpenPostgres(t.Context(), store.Postgres{URL: url}) })
	}
	t.Run("take over", func(t *testing.T) { takeOver(t, engine()) })
	t.Run("fight", func(t *testing.T) { fight(t, engine()) })
	t.Run("proofs", func(t *testing.T) { everyRecord(t, engine()) })
}

func TestAStoreThatIsBehindOrHasAnotherHistoryIsRefused(t *testing.T) {
	r := newRig(t)
	data := t.TempDir()
	l := r.log(data)
	r.write(300)
	r.looks(l)
	old := r.copyStore()
	l.Store = r.store
	oldChain, oldLeaves := *r.chain, len(r.leaves)
	r.write(100)
	r.looks(l)
	r.must(Check(t.Context(), r.store, data))

	// Back to the older copy: behind.
	r.dir = old
	r.open()
	wantErr(t, "an older copy", Check(t.Context(), r.store, data), ErrBehind)
	// It must not be signed by who has seen the newer one either, and that raises an alarm.
	l.Store = r.store
	_, err := l.Look(t.Context())
	wantErr(t, "a process that saw the newer one", err, ErrBehind)
	if len(l.Conditions()) != 1 || l.State().Fault == nil {
		t.Errorf("conditions %v", l.Conditions())
	}
	r.must(r.store.View(t.Context(), func(tx *store.Tx) error {
		open, err := tx.Alarms(true, store.Page{Size: 10})
		if len(open) != 1 || open[0].Kind != "log-fork" {
			t.Errorf("alarms %+v", open)
		}
		return err
	}))

	// The copy grew beyond it, with other records: a fork.
	r.chain, r.leaves, r.beat = &oldChain, r.leaves[:oldLeaves], 60
	r.write(200)
	other := r.log(t.TempDir())
	for range 3 {
		r.looks(other)
		r.now = r.now.Add(Term)
	}
	r.published(other)
	wantErr(t, "a copy that grew", Check(t.Context(), r.store, data), ErrFork)
}

func TestTheLogIsMadeAnewFromRecords(t *testing.T) {
	r := newRig(t)
	data := t.TempDir()
	l := r.log(data)
	r.write(600)
	r.looks(l)
	verify := func(faults int) Report {
		t.Helper()
		report, err := Verify(t.Context(), r.store, data, nil)
		r.must(err)
		if len(report.Faults) != faults || report.Size != 600 || report.Heads != 1 || report.Records != 600 {
			t.Errorf("found %+v, want %d faults", report, faults)
		}
		return report
	}
	verify(0)
	r.must(r.store.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.PutLogTile(0, 1, make([]byte, 8192)), tx.PutLogTile(0, 2, make([]byte, 88*32)))
	}))
	verify(2)
	r.write(1)
	_, err := l.Look(t.Context())
	wantErr(t, "damaged tiles", err, ErrTiles)
	report, err := Rebuild(t.Context(), r.store, data, nil)
	if err != nil || len(report.Faults) != 0 || report.Tiles != 4 {
		t.Errorf("rebuilt: %+v, %v", report, err)
	}
	r.looks(l)
	r.published(l)
	r.holds(data)
}

func TestRecordsThatWaitRaiseAnAlarm(t *testing.T) {
	r := newRig(t)
	l := r.log(t.TempDir())
	l.fault = func(step) error { return errDied }
	r.write(3)
	for range 70 {
		_, _ = l.Look(t.Context())
		r.must(l.late(t.Context(), r.now)) // as Look does when nothing failed
		r.now = r.now.Add(time.Second)
	}
	if len(l.Conditions()) != 1 || l.State().Lag != 3 {
		t.Errorf("state %+v, conditions %v", l.State(), l.Conditions())
	}
	r.must(r.store.View(t.Context(), func(tx *store.Tx) error {
		open, err := tx.Alarms(true, store.Page{Size: 10})
		if len(open) != 1 || open[0].Kind != "log-late" {
			t.Errorf("alarms %+v", open)
		}
		return err
	}))
}

func TestWhoAwaitsACheckpointIsWoken(t *testing.T) {
	r := newRig(t)
	l := r.log(t.TempDir())
	r.write(10)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	running, stop := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	g.Go(func() error { return l.Run(running) })
	if !l.Await(ctx, 10) {
		t.Error("no checkpoint came")
	}
	none, never := context.WithTimeout(ctx, time.Millisecond)
	defer never()
	if l.Await(none, 11) {
		t.Error("a checkpoint of records that are not there")
	}
	stop()
	r.must(g.Wait())
}

func TestALostLogIsBegunAnew(t *testing.T) {
	r := newRig(t)
	data := t.TempDir()
	r.write(30)
	l := r.log(data)
	r.looks(l)
	old := r.copyStore()
	l.Store = r.store
	r.write(10)
	r.looks(l)
	r.dir = old
	r.open()
	r.leaves, r.chain = r.leaves[:30], nil
	wantErr(t, "an older copy", Check(t.Context(), r.store, data), ErrBehind)
	kept, err := Restart(t.Context(), r.store, data, r.now)
	r.must(err)
	if _, c, ok, err := ReadFile(data); err != nil || ok {
		t.Errorf("the file has %+v, %v", c, err)
	}
	r.must(Check(t.Context(), r.store, data))
	origin := r.key.Origin
	v, err := vault.New(make([]byte, vault.KeySize))
	r.must(err)
	r.key, err = LoadKey(t.Context(), r.store, v, "plant", r.now)
	r.must(err)
	if r.key.Origin == origin || kept == "" {
		t.Errorf("the new log is %s, the old one is kept as %q", r.key.Origin, kept)
	}
	again := r.log(data)
	for range 3 {
		r.looks(again)
		r.now = r.now.Add(Term)
	}
	r.published(again)
}

func TestOfOldHeadsTheLastOfEachHourStays(t *testing.T) {
	r := newRig(t)
	l := r.log(t.TempDir())
	for range 30 {
		r.write(1)
		r.looks(l)
		r.now = r.now.Add(7 * time.Minute)
	}
	for range 2 {
		r.must(Thin(t.Context(), r.store, begin().Add(2*time.Hour)))
	}
	r.must(r.store.View(t.Context(), func(tx *store.Tx) error {
		old, err := tx.LogSizesBefore(begin().Add(2 * time.Hour))
		if len(old) != 2 || old[0].Size != 9 || old[1].Size != 18 {
			t.Errorf("%v stay, want the last of two hours", old)
		}
		roots, err2 := tx.LogRoots()
		if len(roots) != 14 {
			t.Errorf("%d heads stay, want 14", len(roots))
		}
		return errors.Join(err, err2)
	}))
	r.published(l)
	r.must(Check(t.Context(), r.store, l.Data))
}
