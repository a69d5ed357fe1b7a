package agent

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"tapline/agent/brokertest"
	"tapline/installer/osservice"
	"tapline/proto/ledger"
	"tapline/proto/record"
	"tapline/proto/record/coverage"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/reader"
)

// sickDisk fails every write and every new file while it is sick.
type sickDisk struct {
	ledger.FS
	sick atomic.Bool
}

type sickFile struct {
	ledger.File
	disk *sickDisk
}

func (d *sickDisk) OpenFile(name string, flag int, perm fs.FileMode) (ledger.File, error) {
	if d.sick.Load() {
		return nil, syscall.EIO
	}
	f, err := d.FS.OpenFile(name, flag, perm)
	return sickFile{f, d}, err
}

func (f sickFile) WriteAt(b []byte, at int64) (int, error) {
	if f.disk.sick.Load() {
		return 0, syscall.EIO
	}
	return f.File.WriteAt(b, at)
}

func TestASickDiskStopsNobody(t *testing.T) {
	p := newPress(t)
	disk := &sickDisk{FS: ledger.OS()}
	p.disk = disk
	p.start()
	p.connected()
	p.tap("left", "ann")
	disk.sick.Store(true)
	if who := p.tap("left", "ben"); who.GetState() != taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED {
		t.Errorf("Ben, whose record is not on the disk, is here as %v", who)
	}
	st, err := p.local.GetStatus(t.Context(), &taplinev1.GetStatusRequest{})
	if err != nil || !st.GetJournal().GetDegraded() || len(st.GetTroubles()) == 0 {
		t.Errorf("status %v, %v", st, err)
	}
	p.until("that the panel says so", func() bool { return strings.Contains(p.panel.String(), "what happens here cannot be recorded now") })
	disk.sick.Store(false)
	p.sees("Ben as recorded", func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetPresence().GetState() == taplinev1.PresenceState_PRESENCE_STATE_NAMED && r.GetPresence().GetPerson().GetId() == "p-ben"
	})
	p.until("that the panel says that it is well again", func() bool { return strings.Contains(p.panel.String(), "recorded again") })
	p.stop()
	wantStory(t, p.story(), "station.started", "opened p-ann by broker", "handed over p-ann to p-ben by broker", "closed p-ben: agent-stopped", "station.stopped")
	if got := p.day(); got[coverage.Unattributed] <= 0 || got[coverage.Named] <= 0 {
		t.Errorf("the time in which Ben was not recorded is not unattributed: %v", got)
	}
	if !strings.Contains(p.panel.String(), "BEN is here") || !strings.Contains(p.panel.String(), "NOT RECORDED YET") {
		t.Errorf("the panel says\n%s", p.panel)
	}
}

// hungDisk keeps every flush waiting while it hangs.
type hungDisk struct {
	ledger.FS
	mu sync.Mutex // held while it hangs
}

type hungFile struct {
	ledger.File
	disk *hungDisk
}

func (d *hungDisk) OpenFile(name string, flag int, perm fs.FileMode) (ledger.File, error) {
	f, err := d.FS.OpenFile(name, flag, perm)
	return hungFile{f, d}, err
}

func (f hungFile) Datasync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.File.Datasync()
}

func TestADiskThatHangsStopsNobody(t *testing.T) {
	p := newPress(t)
	disk := &hungDisk{FS: ledger.OS()}
	p.disk = disk
	p.start()
	p.connected()
	p.tap("left", "ann")
	disk.mu.Lock()
	if who := p.tap("left", "ben"); who.GetState() != taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED {
		t.Errorf("Ben, whose record hangs, is here as %v", who)
	}
	began := time.Now()
	p.tap("left", "ann")
	if took := time.Since(began); took > writeWithin {
		t.Errorf("the second tap on a disk that hangs took %s", took)
	}
	disk.mu.Unlock()
	p.sees("Ann as recorded", func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetPresence().GetState() == taplinev1.PresenceState_PRESENCE_STATE_NAMED && r.GetPresence().GetPerson().GetId() == "p-ann"
	})
	p.stop()
	wantStory(t, p.story(), "station.started", "opened p-ann by broker", "handed over p-ann to p-ben by broker",
		"handed over p-ben to p-ann by broker", "closed p-ann: agent-stopped", "station.stopped")
	if f := p.first(record.JournalDegraded).Journal.Fault; f != coverage.SlowDisk {
		t.Errorf("the records say %q of the disk", f)
	}
	if got := p.day(); got[coverage.Unattributed] <= 0 || got[coverage.Named] <= 0 {
		t.Errorf("the time in which Ben and Ann were not recorded is nobody's unattributed time: %v", got)
	}
}

// dying is a source that ends by itself, as none should.
type dying struct{ runs atomic.Int32 }

func (d *dying) Run(context.Context, func(reader.Event)) error {
	d.runs.Add(1)
	return errors.New("broken")
}

func TestASourceThatEndsIsStartedAgain(t *testing.T) {
	p := newPress(t)
	d := &dying{}
	a, err := New(p.cfg, Options{Sources: []reader.Source{d}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	p.until("the source runs again", func() bool { return d.runs.Load() >= 2 })
	cancel()
	running.Wait()
}

func TestTheTokenThatAnInstallerLeft(t *testing.T) {
	broker := brokertest.New(t, time.Now)
	address := broker.Serve(t)
	broker.Addresses = []string{address}
	cfg, err := DefaultConfig()
	if err != nil {
		t.Fatal(err)
	}
	cfg.StateDir, cfg.Socket, cfg.KeyStore = filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "s"), "file"
	if err := EnrolHandover(t.Context(), cfg, "test", zap.NewNop()); err != nil {
		t.Fatalf("nothing was left: %v", err)
	}
	leave := func(token string) {
		t.Helper()
		if err := osservice.SecureFolder(cfg.StateDir); err != nil {
			t.Fatal(err)
		}
		if err := osservice.LeaveHandover(cfg.StateDir, osservice.Handover{Broker: address, Token: osservice.Token(token)}); err != nil {
			t.Fatal(err)
		}
	}
	gone := func() bool {
		_, err := os.Stat(filepath.Join(cfg.StateDir, osservice.HandoverFile))
		return errors.Is(err, fs.ErrNotExist)
	}
	leave("nonsense")
	if err := EnrolHandover(t.Context(), cfg, "test", zap.NewNop()); osservice.CodeOf(err) != osservice.Refused || !gone() {
		t.Errorf("a text that is no token: %v, gone %t", err, gone())
	}
	used := broker.Token("plant/packing/line-3/press-9", address)
	other := cfg
	other.StateDir = filepath.Join(t.TempDir(), "other")
	if _, err := Enrol(t.Context(), other, used, EnrolOptions{}); err != nil {
		t.Fatal(err)
	}
	leave(used.Encode())
	if err := EnrolHandover(t.Context(), cfg, "test", zap.NewNop()); osservice.CodeOf(err) != osservice.Refused || !gone() {
		t.Errorf("a token that was used: %v, gone %t", err, gone())
	}
	for range 2 { // the second time, the station is enrolled already
		leave(broker.Token(pressName, "127.0.0.1:1").Encode())
		if err := EnrolHandover(t.Context(), cfg, "test", zap.NewNop()); err != nil || !gone() {
			t.Errorf("a good token: %v, gone %t", err, gone())
		}
	}
	a, err := New(cfg, Options{Sources: []reader.Source{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.journal.Close(); err != nil {
		t.Error(err)
	}
}
