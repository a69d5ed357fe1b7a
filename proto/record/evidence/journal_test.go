package evidence_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapline/proto/ledger"
	"tapline/proto/record"
	"tapline/proto/record/evidence"
)

const many = 500 // records of a journal that takes several segments

var start = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func key(b byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = b
	return ed25519.NewKeyFromSeed(seed)
}

var options = ledger.Options{SegmentSize: 128 << 10, MaxEntry: 32 << 10, Reserve: -1}

// journal is the journal of a station in the making.
type journal struct {
	dir     string
	records [][]byte
	heads   []record.Head // before each record and after the last
}

// newJournal makes the records of a journal and all its files but them and the receipt.
func newJournal(t *testing.T, n int) *journal {
	t.Helper()
	s := record.StationStatement{
		V: record.Version, Station: "oslo/packing/line-1/hmi-1", Chain: "11111111-2222-4333-8444-555555555555",
		IdentityKey: []byte("key"), FirstKey: record.PublicKeyOf(key(1)), EnrolledAt: start,
		Previous: &record.ChainEnd{Chain: "00000000-2222-4333-8444-555555555555", Seq: 7, Hash: record.HashOf(nil)},
	}
	j := &journal{dir: filepath.Join(t.TempDir(), "journal")}
	trust := record.Pin(record.PublicKeyOf(key(0)))
	b, err := trust.Encode()
	if err != nil {
		t.Fatal(err)
	}
	j.file(t, evidence.TrustFile, b)
	j.file(t, evidence.StationFile, signed(t, record.StationPayloadType, &s))
	c, epoch := record.NewChain(s), byte(1)
	for i := range n {
		j.heads = append(j.heads, c.Head())
		now := record.Time{Wall: start.Add(time.Duration(i) * time.Minute), Boot: "b", Monotonic: int64(i), State: record.ClockAgrees}
		p := record.Payload{Type: record.StationHeartbeat, Time: now, Beat: &record.Beat{Interval: 60, State: "idle"}}
		var e record.Envelope
		if i%200 == 150 {
			e, err = c.Seal(record.Payload{Time: now}, key(epoch), record.PublicKeyOf(key(epoch+1)))
			epoch++
		} else {
			e, err = c.Next(p, key(epoch))
		}
		if err == nil {
			err = c.Commit(e)
		}
		if err != nil {
			t.Fatal(err)
		}
		j.records = append(j.records, e.Bytes())
	}
	j.heads = append(j.heads, c.Head())
	return j
}

func signed(t *testing.T, payloadType string, v any) []byte {
	t.Helper()
	e, err := record.SignStatement(payloadType, v, key(0))
	if err != nil {
		t.Fatal(err)
	}
	return e.Bytes()
}

func (j *journal) file(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(j.dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// receipt acknowledges the first n records.
func (j *journal) receipt(t *testing.T, n int) {
	t.Helper()
	r := record.NewReceipt(j.heads[n], start.Add(time.Hour), "")
	j.file(t, evidence.ReceiptFile, signed(t, record.ReceiptPayloadType, &r))
}

// open writes the records into a ledger, which stays open until the test ends or the caller closes it.
func (j *journal) open(t *testing.T) *ledger.Ledger {
	t.Helper()
	l, _, err := ledger.Open(filepath.Join(j.dir, evidence.RecordsDir), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for at := 0; at < len(j.records); at += 50 {
		if _, err := l.Append(t.Context(), j.records[at:min(at+50, len(j.records))]...); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func (j *journal) verify(t *testing.T) evidence.Finding {
	t.Helper()
	chains, err := evidence.Open(filepath.Dir(j.dir)) // the station's state folder
	if err != nil {
		t.Fatal(err)
	}
	if len(chains) != 1 || chains[0].Form != evidence.Journal {
		t.Fatalf("found %+v, want one journal", chains)
	}
	findings, err := evidence.Verify(context.Background(), chains, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) != 1 {
		t.Fatalf("found %d findings, want 1: %+v", len(findings), findings)
	}
	return findings[0]
}

func (j *journal) segments(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(j.dir, evidence.RecordsDir, "*.seg"))
	if err != nil || len(found) < 3 {
		t.Fatalf("found segments %v (%v), want three or more", found, err)
	}
	return found
}

func (j *journal) want(t *testing.T, kind record.FaultKind) evidence.Finding {
	t.Helper()
	f := j.verify(t)
	switch {
	case kind == "" && f.Fault != nil:
		t.Errorf("got %v, want a good journal", f.Fault)
	case kind != "" && (f.Fault == nil || f.Fault.Kind != kind):
		t.Errorf("got %v, want %s", f.Fault, kind)
	}
	return f
}

func TestJournalOfARunningStationIsGood(t *testing.T) {
	j := newJournal(t, many)
	j.open(t)
	if f := j.want(t, ""); f.Records != many || f.First != 1 || f.Unreceipted != many {
		t.Errorf("got %+v, want %d records, none under a receipt", f, many)
	}
	j.receipt(t, many-3)
	if f := j.want(t, ""); f.Unreceipted != 3 {
		t.Errorf("got %d records without a receipt, want 3", f.Unreceipted)
	}
}

func TestJournalThatIsShorterThanItsReceiptIsTruncated(t *testing.T) {
	j := newJournal(t, 20)
	j.receipt(t, 20)
	j.records = j.records[:19]
	j.open(t)
	if f := j.want(t, record.FaultTruncated); f.Fault.Seq != 20 {
		t.Errorf("got record %d, want 20", f.Fault.Seq)
	}
}

func TestTrimmedJournalIsGoodUnderItsReceipt(t *testing.T) {
	for _, acked := range []int{300, many - 1, many} {
		j := newJournal(t, many)
		j.receipt(t, acked)
		if err := j.open(t).TrimBefore(300); err != nil {
			t.Fatal(err)
		}
		f := j.want(t, "")
		if f.First <= 1 || f.Last != many || f.Records != many-uint64(f.First)+1 {
			t.Errorf("receipt for %d: got records %d to %d (%d), want the last %d", acked, f.First, f.Last, f.Records, many)
		}
	}
}

func TestTrimmedJournalNeedsAReceiptThatReachesIt(t *testing.T) {
	j := newJournal(t, many)
	if err := j.open(t).TrimBefore(300); err != nil {
		t.Fatal(err)
	}
	if f := j.want(t, record.FaultGap); f.Fault.Seq != 1 {
		t.Errorf("got record %d, want 1", f.Fault.Seq)
	}
	j.receipt(t, 10)
	j.want(t, record.FaultGap)
}

func TestRecordsThatOnlyAReceiptBindsCannotBeChanged(t *testing.T) {
	const acked, changed = 400, 390
	for _, c := range []struct {
		name   string
		change func(t *testing.T, j *journal)
		want   record.FaultKind
		seq    record.Seq
	}{
		{"a record was changed", func(_ *testing.T, j *journal) { j.records[changed-1] = other(j.records[changed-1]) }, record.FaultBrokenLink, changed + 1},
		{"the acknowledged record was changed", func(_ *testing.T, j *journal) { j.records[acked-1] = other(j.records[acked-1]) }, record.FaultForked, acked},
		{"a record is missing", func(_ *testing.T, j *journal) { j.records[changed-1] = j.records[changed] }, record.FaultGap, changed},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newJournal(t, many)
			j.receipt(t, acked)
			c.change(t, j)
			if err := j.open(t).TrimBefore(300); err != nil {
				t.Fatal(err)
			}
			if f := j.want(t, c.want); f.Fault != nil && f.Fault.Seq != c.seq {
				t.Errorf("got record %d, want %d", f.Fault.Seq, c.seq)
			}
		})
	}
}

// other is the same record with another state in its heartbeat, under the old signature.
func other(raw []byte) []byte {
	e, err := record.ReadEntry(raw)
	if err != nil {
		return raw
	}
	p := e.Payload
	p.Beat = &record.Beat{Interval: 61, State: "idle"}
	again, err := record.SignPayload(p, key(9))
	if err != nil {
		return raw
	}
	return again.Bytes()
}

func TestDamagedSegmentIsNamed(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, j *journal)
		want   record.FaultKind
	}{
		{"a bit flipped in the middle", func(t *testing.T, j *journal) { flip(t, j.segments(t)[1], 40<<10) }, record.FaultTorn},
		{"a segment gone from the middle", func(t *testing.T, j *journal) { remove(t, j.segments(t)[1]) }, record.FaultTorn},
		{"the first segment gone", func(t *testing.T, j *journal) { remove(t, j.segments(t)[0]) }, record.FaultGap},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newJournal(t, many)
			if err := j.open(t).Close(); err != nil {
				t.Fatal(err)
			}
			c.damage(t, j)
			j.want(t, c.want)
		})
	}
}

func flip(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func TestFolderWithoutEvidence(t *testing.T) {
	if _, err := evidence.Open(t.TempDir()); !errors.Is(err, evidence.ErrNone) {
		t.Errorf("got %v, want %v", err, evidence.ErrNone)
	}
	if _, err := evidence.Open(filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
}

func TestWriterRefusesAFolderThatIsInUse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.Create(dir); err == nil {
		t.Error("evidence was created in a folder that is not empty")
	}
}

func TestVerifyStopsWhenToldTo(t *testing.T) {
	j := newJournal(t, 20)
	j.open(t)
	chains, err := evidence.Open(j.dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := evidence.Verify(ctx, chains, evidence.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
