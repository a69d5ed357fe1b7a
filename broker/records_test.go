package broker

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapline/proto/record"
	"tapline/proto/record/evidence"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func TestRecordsAreAcknowledgedOnceTheyAreStored(t *testing.T) {
	p := newPlant(t)
	s := p.enrol(press)
	batch := s.write(10)
	r, err := s.send(1, batch)
	p.must(err)
	if r.Seq != 10 || r.Head != s.chain.Head().Hash {
		t.Errorf("the receipt is for %d %s, want 10 %s", r.Seq, r.Head, s.chain.Head().Hash)
	}
	// A receipt that was lost: the same records come again, and some new ones.
	more := s.write(5)
	again, err := s.send(6, append(batch[5:], more...))
	p.must(err)
	if again.Seq != 15 {
		t.Errorf("the receipt is for %d, want 15", again.Seq)
	}
	p.verify(p.export(), 15)
}

func TestRecordsThatDoNotFitAreRefusedAndRaiseAnAlarm(t *testing.T) {
	rows := []struct {
		name  string
		send  func(s *hmi) error
		kind  wire.Kind
		alarm string
	}{
		{"a gap", func(s *hmi) error {
			_, err := s.send(3, s.write(4)[2:])
			return err
		}, wire.Precondition, "gap"},
		{"a changed record", func(s *hmi) error {
			batch := s.write(4)
			batch[1] = []byte(strings.Replace(string(batch[1]), `"payload":"e`, `"payload":"f`, 1))
			_, err := s.send(1, batch)
			return err
		}, wire.BadEvidence, "bad-record"},
		{"two records swapped", func(s *hmi) error {
			batch := s.write(4)
			batch[1], batch[2] = batch[2], batch[1]
			_, err := s.send(1, batch)
			return err
		}, wire.BadEvidence, "bad-record"},
		{"another history of what is stored", func(s *hmi) error {
			fork := *s.chain
			if _, err := s.send(1, s.write(4)); err != nil {
				return err
			}
			s.chain = &fork
			p := s.beat()
			p.Beat.State = "named"
			e, err := s.chain.Next(p, s.keys.record)
			s.must(err)
			_, err = s.send(1, [][]byte{e.Bytes()})
			return err
		}, wire.Stale, "fork"},
		{"signed with another key", func(s *hmi) error {
			p, h := s.beat(), s.chain.Head()
			p.Version, p.Station, p.Chain, p.Epoch, p.Seq, p.Prev = record.Version, h.Station, h.Chain, h.Epoch, h.Seq+1, h.Hash
			e, err := record.SignPayload(p, newKeys(s.t).record)
			s.must(err)
			_, err = s.send(1, [][]byte{e.Bytes()})
			return err
		}, wire.BadEvidence, "bad-record"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p := newPlant(t)
			s := p.enrol(press)
			err := row.send(s)
			if wire.KindOf(err) != row.kind {
				t.Errorf("got %v (%s), want %s", err, wire.KindOf(err), row.kind)
			}
			if kinds := p.alarms(); !kinds[row.alarm] {
				t.Errorf("alarms are %v, want %s", kinds, row.alarm)
			}
		})
	}
}

func TestAnotherStationsChainIsNotWritten(t *testing.T) {
	p := newPlant(t)
	mine, thief := p.enrol(press), p.enrol(packing)
	batch := mine.write(2)
	thief.keys.chain = mine.keys.chain
	_, err := thief.send(1, batch)
	refused(t, err, wire.Denied, "not one of station")
}

// The chain binds a record's bytes and not its signature; so a bad signature within a batch passes at first and must be found soon after.
func TestABadSignatureInsideAGoodChainIsFoundAndKept(t *testing.T) {
	p := newPlant(t)
	s := p.enrol(press)
	batch := s.write(5)
	good := batch[2]
	at := strings.Index(string(good), `"sig":"`) + len(`"sig":"`)
	bad := []byte(string(good))
	if bad[at] == 'A' {
		bad[at] = 'B'
	} else {
		bad[at] = 'A'
	}
	batch[2] = bad
	if _, err := s.send(1, batch); err != nil {
		t.Fatal(err)
	}
	p.until("the alarm", func() bool { return p.alarms()["bad-record"] })
	stream, err := p.audit.QueryRecords(t.Context(), &taplinev1.QueryRecordsRequest{Filter: &taplinev1.RecordFilter{Stations: []string{press}}})
	p.must(err)
	var faults []int
	for i := 1; ; i++ {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		p.must(err)
		if r.GetRecord().GetFault() != "" {
			faults = append(faults, i)
		}
	}
	if len(faults) != 1 || faults[0] != 3 {
		t.Errorf("records %v are marked, want 3", faults)
	}
}

func TestARestartKeepsEverything(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	if _, err := s.send(1, s.write(7)); err != nil {
		t.Fatal(err)
	}
	first := s.open(tap(anna()))
	p.stop()
	p.start()
	s.connect()
	if r, err := s.send(8, s.write(3)); err != nil || r.Seq != 10 {
		t.Fatalf("got %v, %v", r.Seq, err)
	}
	if next := s.open(tap(anna())); next.GetLease().GetFence() <= first.GetLease().GetFence() {
		t.Errorf("fence %d after %d", next.GetLease().GetFence(), first.GetLease().GetFence())
	}
	p.verify(p.export(), 10)
}

func TestOpenStreamsDoNotKeepTheBrokerFromStopping(t *testing.T) {
	p := newPlant(t)
	s := p.enrol(press)
	records, err := s.client.StreamRecords(t.Context())
	p.must(err)
	p.must(records.Send(&taplinev1.StreamRecordsRequest{Chain: s.keys.chain}))
	if _, err := records.Recv(); err != nil {
		t.Fatal(err)
	}
	watch, err := p.audit.WatchRecords(t.Context(), &taplinev1.WatchRecordsRequest{})
	p.must(err)
	p.stop()
	_, err = records.Recv()
	refused(t, err, wire.Unavailable, "stopping")
	for err = nil; err == nil; {
		_, err = watch.Recv()
	}
	refused(t, err, wire.Unavailable, "stopping")
}

func TestABeatThatKnowsLessThanTheBrokerRaisesAnAlarm(t *testing.T) {
	p := newPlant(t)
	s := p.enrol(press)
	if _, err := s.send(1, s.write(7)); err != nil {
		t.Fatal(err)
	}
	stream, err := s.client.StreamCommands(t.Context())
	p.must(err)
	p.must(stream.Send(&taplinev1.StreamCommandsRequest{What: &taplinev1.StreamCommandsRequest_Beat{Beat: &taplinev1.StationBeat{Chain: s.keys.chain, Seq: 5}}}))
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if kinds := p.alarms(); !kinds["head-back"] {
		t.Errorf("alarms are %v, want head-back", kinds)
	}
}

// export writes the evidence as tapctl does.
func (p *plant) export() string {
	p.t.Helper()
	return p.exportOf(&taplinev1.ExportRequest{})
}

func (p *plant) exportOf(req *taplinev1.ExportRequest) string {
	p.t.Helper()
	dir := p.t.TempDir()
	stream, err := p.audit.Export(p.t.Context(), req)
	p.must(err)
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return dir
		}
		p.must(err)
		path := filepath.Join(dir, filepath.FromSlash(r.GetPath()))
		p.must(os.MkdirAll(filepath.Dir(path), 0o700))
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		p.must(err)
		_, err = f.Write(r.GetData())
		p.must(errors.Join(err, f.Close()))
	}
}

// verify wants good evidence with so many records of stations; the broker's own chain is in it too.
func (p *plant) verify(dir string, records int) {
	p.t.Helper()
	chains, err := evidence.Open(dir)
	p.must(err)
	findings, err := evidence.Verify(p.t.Context(), chains, evidence.Options{})
	p.must(err)
	got := 0
	own := false
	for _, f := range findings {
		if f.Fault != nil {
			p.t.Errorf("evidence: %v", f.Fault)
		}
		if f.Station == "plant/tapline/broker/1" {
			own = f.Records > 0
			continue
		}
		got += int(f.Records)
	}
	if got != records || !own {
		p.t.Errorf("%d records of stations (own chain %v), want %d", got, own, records)
	}
}
