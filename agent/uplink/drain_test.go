package uplink

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// mustHoldAll checks that the broker holds every record of the journal once and in order.
func (s *station) mustHoldAll() {
	s.t.Helper()
	got := s.broker.Station(press).Records
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	if len(got) != len(s.journal.records) {
		s.t.Fatalf("the broker holds %d records, the journal %d", len(got), len(s.journal.records))
	}
	for i, raw := range got {
		if !bytes.Equal(raw, s.journal.records[i]) {
			s.t.Fatalf("record %d differs", i+1)
		}
	}
}

func (s *station) allAcked() bool {
	_, next := s.journal.Bounds()
	return s.up.State().Acked == next-1
}

func TestEveryRecordArrivesOnceAndInOrderHoweverTheLineIsCut(t *testing.T) {
	cable := listen(t, randomCuts(6_000, 150_000))
	s := newStation(t, cable)
	s.journal.write(500)
	stop := s.run()
	for range 10 {
		s.journal.write(40)
		until(t, "a cut or the end of the records", func() bool { return s.allAcked() || cable.cuts.Load() > 30 })
	}
	until(t, "receipts for all records", s.allAcked)
	stop()
	s.mustHoldAll()
	if cable.cuts.Load() == 0 {
		t.Error("the line was never cut: the test shows nothing")
	}
	if r := s.journal.lastReceipt(); int(r.Seq) != len(s.journal.records) {
		t.Errorf("the journal's last receipt covers %d of %d", r.Seq, len(s.journal.records))
	}
	t.Logf("%d records over %d cuts", len(s.journal.records), cable.cuts.Load())
}

func TestABrokerThatIsBusyIsLeftInPeaceForAsLongAsItAsks(t *testing.T) {
	s := newStation(t)
	const wait = 300 * time.Millisecond
	var mu sync.Mutex
	var asked []time.Time
	s.broker.Shed = func(int) error {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, time.Now())
		if len(asked) <= 3 {
			return wire.BusyFor(wait, "taps go first")
		}
		return nil
	}
	s.journal.write(10)
	s.run()
	until(t, "receipts", s.allAcked)
	s.mustHoldAll()
	mu.Lock()
	defer mu.Unlock()
	for i := range 3 {
		if pause := asked[i+1].Sub(asked[i]); pause < wait {
			t.Errorf("it came again after %s, asked for %s", pause, wait)
		}
	}
	if !s.up.Connected() {
		t.Error("the line was given up: taps would go unanswered")
	}
}

func TestAnotherProcessGoesOnWhereTheBrokerIs(t *testing.T) {
	s := newStation(t)
	s.journal.write(300)
	stop := s.run()
	until(t, "receipts", s.allAcked)
	stop()
	s.journal.write(300)
	s.cfg.LastReceipt = s.journal.lastReceipt()
	s.run()
	until(t, "receipts", s.allAcked)
	s.mustHoldAll()
}

func TestATrimmedJournalGoesOnFromItsReceipt(t *testing.T) {
	s := newStation(t)
	s.journal.write(20)
	stop := s.run()
	until(t, "receipts", s.allAcked)
	stop()
	s.cfg.LastReceipt = s.journal.lastReceipt()
	s.journal.first = 21
	stop = s.run()
	until(t, "the receipt of the trimmed record", func() bool { return s.up.Connected() && s.allAcked() })
	s.journal.write(5)
	until(t, "receipts", s.allAcked)
	stop()
	if got := len(s.broker.Station(press).Records); got != 25 {
		t.Errorf("the broker holds %d records, want 25", got)
	}
}

func TestABrokerThatLostRecordsGetsThemAgain(t *testing.T) {
	s := newStation(t)
	s.journal.write(50)
	stop := s.run()
	until(t, "receipts", s.allAcked)
	stop()
	s.broker.LoseRecords(press, 20)
	s.cfg.LastReceipt = s.journal.lastReceipt()
	alarms := s.alarms()
	s.run()
	until(t, "the records again", func() bool { return len(s.broker.Station(press).Records) == 50 })
	s.mustHoldAll()
	until(t, "the alarm", func() bool { return alarms()[BrokerBehind] })
	until(t, "the end of the alarm", func() bool { return s.up.State().Alarm == NoAlarm })
}

func TestReceiptsThatAreNotBelieved(t *testing.T) {
	foreign := newStation(t)
	foreign.journal.write(10)
	for _, row := range []struct {
		name string
		edit func(s *station) func(*taplinev1.StreamRecordsResponse)
		want Alarm
	}{
		{"a receipt that another broker signed", func(*station) func(*taplinev1.StreamRecordsResponse) {
			return func(r *taplinev1.StreamRecordsResponse) {
				r.Receipt = foreign.broker.Receipt(foreign.journal.heads[r.GetAckedSeq()]).GetReceipt()
			}
		}, ReceiptForged},
		{"a receipt of another station", func(s *station) func(*taplinev1.StreamRecordsResponse) {
			return func(r *taplinev1.StreamRecordsResponse) {
				*r = *s.broker.Receipt(foreign.journal.heads[4]) //nolint:govet // the test owns it
			}
		}, ReceiptForged},
		{"a receipt whose signature was changed", func(*station) func(*taplinev1.StreamRecordsResponse) {
			return func(r *taplinev1.StreamRecordsResponse) { r.Receipt[len(r.GetReceipt())-10] ^= 1 }
		}, ReceiptForged},
		{"an answer that says more than its receipt", func(*station) func(*taplinev1.StreamRecordsResponse) {
			return func(r *taplinev1.StreamRecordsResponse) { r.AckedSeq++ }
		}, ReceiptForged},
		{"a receipt over another record than ours", func(s *station) func(*taplinev1.StreamRecordsResponse) {
			return func(r *taplinev1.StreamRecordsResponse) {
				head := s.journal.heads[4]
				head.Hash[0] ^= 1
				*r = *s.broker.Receipt(head) //nolint:govet // the test owns it
			}
		}, ReceiptForks},
		{"a receipt over more records than we ever wrote", func(s *station) func(*taplinev1.StreamRecordsResponse) {
			return func(r *taplinev1.StreamRecordsResponse) {
				head := s.journal.heads[9]
				head.Seq++
				*r = *s.broker.Receipt(head) //nolint:govet // the test owns it
			}
		}, BrokerAhead},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newStation(t)
			s.journal.write(10)
			s.broker.EditReceipt = row.edit(s)
			alarms := s.alarms()
			stop := s.run()
			until(t, "the alarm", func() bool { return alarms()[row.want] })
			until(t, "the line to decide all the same", s.up.Connected)
			stop()
			if n := len(s.journal.receipts); n != 0 || s.up.State().Acked != 0 {
				t.Errorf("%d receipts were kept, %d records acknowledged", n, s.up.State().Acked)
			}
		})
	}
}

func TestRecordsThatTheBrokerRefusesRaiseTheAlarm(t *testing.T) {
	s := newStation(t)
	s.journal.write(10)
	s.journal.records[5] = bytes.Replace(s.journal.records[5], []byte(`"sig":"`), []byte(`"sig":"A`), 1)
	alarms := s.alarms()
	s.run()
	until(t, "the alarm", func() bool { return alarms()[RecordsRefused] })
	if got := s.up.State().Acked; got != 0 {
		t.Errorf("%d records are acknowledged", got)
	}
}

// alarms notes every alarm from now on.
func (s *station) alarms() func() map[Alarm]bool {
	states := make(chan State, 10_000)
	s.cfg.OnState = func(st State) { states <- st }
	seen := map[Alarm]bool{}
	return func() map[Alarm]bool {
		for {
			select {
			case st := <-states:
				seen[st.Alarm] = true
			default:
				return seen
			}
		}
	}
}

func TestBatchesStayWithinTheirLimits(t *testing.T) {
	s := newStation(t)
	s.journal.write(2*batchRecords + 1)
	for from, want := record.Seq(1), batchRecords; from < 2*batchRecords; from += batchRecords {
		batch, err := nextBatch(s.journal, from, batchRecords)
		if err != nil || len(batch) != want {
			t.Errorf("batch from %d: %d records, %v, want %d", from, len(batch), err, want)
		}
	}
	huge := make([]byte, batchBytes/2+1)
	s.journal.records[0], s.journal.records[1] = huge, huge
	if batch, err := nextBatch(s.journal, 1, batchRecords); err != nil || len(batch) != 1 {
		t.Errorf("two records of half a batch and more: %d together, %v", len(batch), err)
	}
}
