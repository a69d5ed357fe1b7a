package journal

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapline/proto/record"
)

func (s *station) write(j *Journal, payloads ...record.Payload) {
	s.t.Helper()
	for _, p := range payloads {
		if _, err := j.Write(s.t.Context(), p); err != nil {
			s.t.Fatalf("write %s: %v", p.Type, err)
		}
	}
}

func TestARunIsOneVerifiableChain(t *testing.T) {
	s := newStation(t)
	j, rec, stop := s.start()
	if !rec.Stopped || rec.Open != nil || rec.Records != 0 {
		t.Errorf("a new journal: %+v", rec)
	}
	s.write(j, opened("s1"), closed("s1"))
	stop()

	j, rec, stop = s.start()
	if rec.Stopped || rec.Open != nil || rec.Records != 2 {
		t.Errorf("after a run that ended without saying so: %+v", rec)
	}
	s.write(j, opened("s2"), refused())
	stop()

	j, rec, stop = s.start()
	if rec.Open == nil || rec.Open.Session != "s2" {
		t.Errorf("after a run that left a session open: %+v", rec)
	}
	s.write(j, closed("s2"), record.Payload{Type: record.StationStopped})
	stop()
	if _, rec, stop = s.start(); !rec.Stopped || rec.Open != nil {
		t.Errorf("after an orderly stop: %+v", rec)
	}
	stop()
	if n := len(s.verify()); n != 6 {
		t.Errorf("%d records, want 6", n)
	}
}

func TestManyWritersMakeOneChain(t *testing.T) {
	s := newStation(t)
	j, _, stop := s.start()
	seen := make([]atomic.Bool, 1300)
	var writers sync.WaitGroup
	for range 24 {
		writers.Go(func() {
			for range 50 {
				seq, err := j.Write(t.Context(), refused())
				if err != nil {
					t.Error(err)
					return
				}
				if seen[seq].Swap(true) {
					t.Errorf("number %d given twice", seq)
				}
			}
		})
	}
	writers.Wait()
	stop()
	all := s.verify()
	if len(all) != 1201 { // one seal after 999 records
		t.Errorf("%d records, want 1201", len(all))
	}
	if _, err := s.keys.Get(KeyName(1)); err == nil {
		t.Error("the key of the sealed epoch is still there")
	}
}

func TestAnEpochWithoutRecordsIsSealedToo(t *testing.T) {
	s := newStation(t)
	j, _, err := Open(s.config())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.wall.pass(25 * time.Hour)
		j.sealIfDue()
		j.sealIfDue() // once is enough
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	want := []record.Type{record.EpochSealed, record.EpochSealed, record.EpochSealed}
	if diff := cmp.Diff(want, types(s.verify())); diff != "" {
		t.Error(diff)
	}
}

func TestAMovedClockIsARecord(t *testing.T) {
	s := newStation(t)
	j, _, stop := s.start()
	s.write(j, refused())
	s.wall.set(-3 * time.Hour)
	s.write(j, refused())
	s.wall.set(40 * time.Hour) // past the epoch's end
	s.write(j, refused())
	stop()
	want := []record.Type{
		record.TapRefused, record.ClockStepped, record.TapRefused,
		record.EpochSealed, record.ClockStepped, record.TapRefused,
	}
	all := s.verify()
	if diff := cmp.Diff(want, types(all)); diff != "" {
		t.Error(diff)
	}
	if got := all[1].Time.State; got != record.ClockWasStepped {
		t.Errorf("state %q", got)
	}
}

func TestAStatementThatCanBeNoRecordHarmsNobody(t *testing.T) {
	s := newStation(t)
	j, _, stop := s.start()
	if _, err := j.Write(t.Context(), record.Payload{Type: "no.such-type"}); err == nil || errors.Is(err, ErrDegraded) {
		t.Errorf("write: %v", err)
	}
	s.write(j, refused())
	stop()
	if n := len(s.verify()); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
}

func receipt(t *testing.T, head record.Head) (record.Envelope, record.Receipt) {
	t.Helper()
	r := record.NewReceipt(head, time.Now(), "")
	e, err := record.SignStatement(record.ReceiptPayloadType, &r, evidenceKey)
	if err != nil {
		t.Fatal(err)
	}
	return e, r
}

func TestReceipts(t *testing.T) {
	s := newStation(t)
	j, _, stop := s.start()
	s.write(j, opened("s1"), refused(), refused())
	e, r := receipt(t, j.Head())
	s.write(j, refused())
	if err := j.Acked(e, r); err != nil {
		t.Fatal(err)
	}
	ahead := r
	ahead.Seq = 9
	if err := j.Acked(e, ahead); !errors.Is(err, ErrBehind) {
		t.Errorf("a receipt for a record that is not there: %v", err)
	}
	foreign := r
	foreign.Chain = "0190a1b2-0000-7000-8000-000000000002"
	if err := j.Acked(e, foreign); err == nil {
		t.Error("a receipt of another chain was taken")
	}
	stop()

	j, rec, stop := s.start()
	if got := j.Status().Acked; got != 3 {
		t.Errorf("acknowledged up to %d after a restart, want 3", got)
	}
	if rec.Open == nil || rec.Open.Session != "s1" || rec.Records != 4 {
		t.Errorf("recovery %+v: the session was opened before the receipt", rec)
	}
	stop()
}

func TestAnOldImagePutBackIsNoticed(t *testing.T) {
	s := newStation(t)
	j, _, stop := s.start()
	s.write(j, refused())
	stop()
	image := filepath.Join(t.TempDir(), "image")
	if err := os.CopyFS(image, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	j, _, stop = s.start()
	s.write(j, refused())
	e, r := receipt(t, j.Head())
	if err := j.Acked(e, r); err != nil {
		t.Fatal(err)
	}
	stop()
	b, err := os.ReadFile(filepath.Join(s.dir, receiptName))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(image, receiptName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(image, recordsName), 0o700); err != nil {
		t.Fatal(err)
	}
	s.dir = image
	if _, _, err := Open(s.config()); !errors.Is(err, ErrBehind) {
		t.Errorf("open: %v, want ErrBehind", err)
	}
}

func TestALostKeyIsSaid(t *testing.T) {
	s := newStation(t)
	s.keys.keys = map[string][]byte{}
	if _, _, err := Open(s.config()); !errors.Is(err, ErrKeyLost) {
		t.Errorf("open: %v, want ErrKeyLost", err)
	}
}

func TestAStationEnrolledAnewBeginsANewJournal(t *testing.T) {
	s := newStation(t)
	j, _, stop := s.start()
	s.wall.pass(25 * time.Hour)
	s.write(j, refused()) // after a seal: the key of epoch 2 is in the store
	stop()
	first := s.dir
	anew := newStation(t)
	var statement record.StationStatement
	if err := record.OpenStatement(anew.statement, record.StationPayloadType, record.PublicKeyOf(evidenceKey), &statement); err != nil {
		t.Fatal(err)
	}
	statement.Chain = "0190a1b2-0000-7000-8000-000000000002"
	e, err := record.SignStatement(record.StationPayloadType, &statement, evidenceKey)
	if err != nil {
		t.Fatal(err)
	}
	s.statement = e
	s.keys.keys[KeyName(1)] = anew.keys.keys[KeyName(1)]
	j, rec, stop := s.start()
	if rec.Records != 0 {
		t.Errorf("the new chain has %d records", rec.Records)
	}
	s.write(j, refused())
	stop()
	if _, err := os.Stat(filepath.Join(first+"."+chainID, recordsName)); err != nil {
		t.Errorf("the earlier journal is gone: %v", err)
	}
	if len(s.keys.keys) != 1 {
		t.Errorf("%d keys are left, want 1", len(s.keys.keys))
	}
	s.verify()
}
