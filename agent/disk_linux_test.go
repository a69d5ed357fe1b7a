package agent

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tapline/proto/record"
	"tapline/proto/record/coverage"
	taplinev1 "tapline/proto/tapline/v1"
)

// mountState puts a file system under the state folders of stations that are made after it.
func mountState(t *testing.T, args ...string) (dir string, remount func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs: root")
	}
	dir = t.TempDir()
	mounted := false
	remount = func() {
		t.Helper()
		if mounted {
			if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
				t.Fatalf("umount: %v\n%s", err, out)
			}
		}
		if out, err := exec.Command("mount", append(args, dir)...).CombinedOutput(); err != nil {
			t.Skipf("needs: rights to mount (%s)", strings.TrimSpace(string(out)))
		}
		mounted = true
	}
	remount()
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "--lazy", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
	return dir, remount
}

// unrecorded taps a person's badge and wants the station to show them as not recorded yet.
func (p *press) unrecorded(person string) {
	p.t.Helper()
	if who := p.tap("left", person); who.GetState() != taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED {
		p.t.Errorf("%s, whose record is not on the disk, is here as %v", person, who.GetState())
	}
}

// notice waits for the station's word on its journal.
func (p *press) notice(reason string) {
	p.t.Helper()
	p.sees("the journal's "+reason, func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetNotice().GetKind() == taplinev1.NoticeKind_NOTICE_KIND_JOURNAL && r.GetNotice().GetReason() == reason
	})
}

// TestAFullDiskStopsNobody fills a real file system to the last byte, and the journal's segment with it.
func TestAFullDiskStopsNobody(t *testing.T) {
	dir, _ := mountState(t, "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs")
	p := newPressIn(t, dir)
	p.start()
	p.connected()
	p.tap("left", "ann")
	hog := filepath.Join(dir, "hog")
	_ = os.WriteFile(hog, make([]byte, 16<<20), 0o600) // fails when it has taken all
	var fill sync.WaitGroup
	for range 16 { // until the segment is full
		fill.Go(func() {
			for p.agent.journal.Fault() == "" {
				_, _ = p.agent.journal.Write(t.Context(), record.Payload{Type: record.StationHeartbeat, Beat: &record.Beat{Interval: 300, State: "named"}})
			}
		})
	}
	fill.Wait()
	p.unrecorded("ben")
	p.unrecorded("ann")
	p.until("the panel's word", func() bool { return strings.Contains(p.panel.String(), "the disk is full: go on working") })
	st, err := p.local.GetStatus(t.Context(), &taplinev1.GetStatusRequest{})
	if err != nil || !st.GetJournal().GetDegraded() || st.GetJournal().GetReason() != "full" {
		t.Errorf("status %v, %v", st.GetJournal(), err)
	}
	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	p.notice("")
	p.tap("left", "ben")
	p.stop()
	totals := p.day()
	if totals[coverage.Unattributed] <= 0 || totals[coverage.Named] <= 0 {
		t.Errorf("the time in which nobody was recorded is not unattributed: %v", totals)
	}
	if f := p.first(record.JournalDegraded).Journal.Fault; f != "full" {
		t.Errorf("the records say %q", f)
	}
	p.first(record.JournalRecovered)
}

// TestADiskThatTurnsReadOnlyStopsNobody has the kernel give a file system up, as it does after an error of the disk. It takes a new mount to get it back.
func TestADiskThatTurnsReadOnlyStopsNobody(t *testing.T) {
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("needs: e2fsprogs")
	}
	image := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 64<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	dir, remount := mountState(t, "-o", "loop,errors=remount-ro", image)
	p := newPressIn(t, dir)
	p.start()
	p.connected()
	p.tap("left", "ann")
	if out, err := exec.Command("mount", "-o", "remount,abort", dir).CombinedOutput(); err != nil {
		t.Skipf("needs: a file system that can be given up (%s)", strings.TrimSpace(string(out)))
	}
	p.unrecorded("ben")
	p.unrecorded("ann")
	p.until("the panel's word", func() bool { return strings.Contains(p.panel.String(), "the disk cannot be written: go on working") })
	p.stop()
	remount()
	p.start()
	p.connected()
	p.tap("left", "ben")
	p.stop()
	wantStory(t, p.story(), "station.started", "opened p-ann by broker", "station.started", "closed p-ann: agent-died",
		"opened p-ben by broker", "closed p-ben: agent-stopped", "station.stopped")
	if totals := p.day(); totals[coverage.Down] <= 0 || totals[coverage.Named] <= 0 {
		t.Errorf("what nothing vouches for is no agent down: %v", totals)
	}
}

// childOfDisks tells this test's own process, which strace watches, from the one that starts it.
const childOfDisks = "TAPLINE_TEST_DISK_CHILD"

// TestRealDiskFaults makes the kernel's answers to a whole station fail for a while. The counts of strace are per thread, so a station may meet more than one fault.
func TestRealDiskFaults(t *testing.T) {
	if os.Getenv(childOfDisks) != "" {
		stationOnASickDisk(t)
		return
	}
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs: strace")
	}
	if err := exec.Command(strace, "-qq", "-o", os.DevNull, "true").Run(); err != nil {
		t.Skip("needs: the right to trace processes")
	}
	for _, tt := range []struct{ name, fault string }{
		{"flushes fail with EIO", "fdatasync:error=EIO:when=6..7"},
		{"one flush fails with EIO", "fdatasync:error=EIO:when=6"},
		{"writes fail with EROFS", "pwrite64:error=EROFS:when=12"},
		{"writes fail with ENOSPC", "pwrite64:error=ENOSPC:when=12"},
		{"flushes take three seconds", "fdatasync:delay_enter=3s:when=6"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace=fdatasync,pwrite64", "-e", "inject="+tt.fault,
				os.Args[0], "-test.run=^TestRealDiskFaults$", "-test.timeout=2m")
			cmd.Env = append(os.Environ(), childOfDisks+"=1")
			cmd.WaitDelay = 5 * time.Second
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// stationOnASickDisk taps until somebody was shown as not recorded and all is recorded again, then judges the evidence.
func stationOnASickDisk(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	people := []string{"ann", "ben"}
	sick := false
	for i := 0; i < 400 && !sick; i++ {
		sick = p.tap("left", people[i%2]).GetState() == taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED
	}
	if !sick {
		t.Error("no fault was met")
	}
	p.until("all is on the disk", func() bool { return p.agent.journal.Healthy() })
	p.tap("left", "ann")
	p.tap("left", "ben")
	p.until("all is on the disk", func() bool { return p.agent.journal.Healthy() })
	p.stop()
	if totals := p.day(); totals[coverage.Unattributed] <= 0 || totals[coverage.Named] <= 0 {
		t.Errorf("the time in which nobody was recorded is not unattributed: %v", totals)
	}
}
