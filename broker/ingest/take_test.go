package ingest_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"tapline/broker/alarm"
	"tapline/broker/ingest"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

func TestARecordIsStoredOnceHoweverOftenItComes(t *testing.T) {
	p := newDesk(t).enrol(press)
	all := p.beats(10)
	for _, row := range []struct {
		says     string
		from, to int // of all
		want     record.Seq
		stored   int32 // calls of Stored so far
	}{
		{"the first batch", 0, 4, 4, 1},
		{"its receipt was lost: it comes again", 0, 4, 4, 1},
		{"only its end comes again", 2, 4, 4, 1},
		{"half of a batch is known", 2, 7, 7, 2},
		{"an early one comes again, late", 0, 2, 7, 2},
		{"nothing: what is the receipt?", 7, 7, 7, 2},
		{"the rest", 7, 10, 10, 3},
		{"everything once more", 0, 10, 10, 3},
	} {
		r, err := p.send(record.Seq(row.from+1), all[row.from:row.to]...)
		if err != nil || r.Seq != row.want || p.stored.Load() != row.stored {
			t.Errorf("%s: receipt for %d, told %d times, %v; want %d and %d", row.says, r.Seq, p.stored.Load(), err, row.want, row.stored)
		}
	}
	if n := p.holds(); n != 10 {
		t.Errorf("%d records are stored, want 10", n)
	}
	if r, err := p.send(0); err != nil || r.Head != p.chain.Head().Hash {
		t.Errorf("the receipt is for another head: %v", err)
	}
	if a, n := p.alarms(press), p.rejects(press); len(a) != 0 || n != 0 {
		t.Errorf("alarms %v and %d refused batches for an honest station", a, n)
	}
}

func TestTheSameBatchOnManyStreamsIsStoredOnce(t *testing.T) {
	p := newDesk(t).enrol(press)
	all := p.beats(50)
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			for i := 0; i < len(all); {
				_, told, err := p.Take(t.Context(), ingest.Batch{
					Station: press, Chain: p.id, First: record.Seq(i + 1), Records: all[i:min(i+5, len(all))],
				})
				if wire.KindOf(err) == wire.Busy {
					continue
				}
				if err != nil {
					return err
				}
				i = int(told.Seq)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := p.holds(); n != 50 {
		t.Errorf("%d records are stored, want 50", n)
	}
}

func TestABatchMayGoOverSealsOfEpochs(t *testing.T) {
	p := newDesk(t).enrol(press)
	batch := p.beats(3)
	batch = append(batch, p.seal())
	batch = append(batch, p.beats(2)...)
	batch = append(batch, p.seal(), p.seal()) // an empty epoch is sealed too
	batch = append(batch, p.beats(2)...)
	if _, err := p.send(1, batch...); err != nil {
		t.Fatal(err)
	}
	if n, err := p.VerifyPending(t.Context()); err != nil || n != len(batch)-4 { // three seals and the last record were checked at once
		t.Errorf("%d signatures were left to check, %v; want %d", n, err, len(batch)-4)
	}
	if f := p.faults(); len(f) != 0 {
		t.Errorf("marked: %v", f)
	}
	if r, err := p.send(record.Seq(len(batch)+1), p.beats(1)...); err != nil || r.Epoch != 4 {
		t.Errorf("epoch %d, %v; want 4", r.Epoch, err)
	}
}

// spoiled is raw with one letter of its payload changed, still base64.
func spoiled(raw []byte) []byte {
	return bytes.Replace(raw, []byte(`"payload":"e`), []byte(`"payload":"f`), 1)
}

// unsigned is raw with another signature of the right form.
func unsigned(raw []byte) []byte {
	b := slices.Clone(raw)
	at := bytes.Index(b, []byte(`"sig":"`)) + len(`"sig":"`)
	if b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return b
}

func TestRecordsThatAreRefused(t *testing.T) {
	for _, row := range []struct {
		says  string
		send  func(p *pen) ([][]byte, record.Seq) // 3 good records are stored before
		kind  wire.Kind
		fault record.FaultKind
		alarm alarm.Kind
	}{
		{"a gap before the batch", func(p *pen) ([][]byte, record.Seq) {
			return p.beats(3)[1:], 5
		}, wire.Precondition, record.FaultGap, alarm.Gap},
		{"a gap within it", func(p *pen) ([][]byte, record.Seq) {
			return slices.Delete(p.beats(4), 1, 2), 4
		}, wire.BadEvidence, record.FaultGap, alarm.BadRecord},
		{"a record twice in it", func(p *pen) ([][]byte, record.Seq) {
			b := p.beats(2)
			return [][]byte{b[0], b[0], b[1]}, 4
		}, wire.BadEvidence, record.FaultReplayed, alarm.BadRecord},
		{"two records swapped", func(p *pen) ([][]byte, record.Seq) {
			b := p.beats(3)
			b[0], b[1] = b[1], b[0]
			return b, 4
		}, wire.BadEvidence, record.FaultGap, alarm.BadRecord},
		{"another history of a stored record", func(p *pen) ([][]byte, record.Seq) {
			b := p.beat()
			b.Beat.State = "named"
			return [][]byte{p.forge(record.Head{Station: p.station, Chain: p.id, Epoch: 1}, b, p.key)}, 1
		}, wire.Stale, record.FaultForked, alarm.Fork},
		{"the last of what is stored with other content, and more", func(p *pen) ([][]byte, record.Seq) {
			h := p.chain.Head()
			h.Seq--
			b := p.beat()
			b.Beat.State = "named"
			return append([][]byte{p.forge(h, b, p.key)}, p.beats(2)...), 3
		}, wire.Stale, record.FaultForked, alarm.Fork},
		{"a stored record signed anew, the same in content", func(p *pen) ([][]byte, record.Seq) {
			var stored []byte
			p.view(func(tx *store.Tx) error {
				r, err := tx.ChainRecords(p.id, 2, 1)
				stored = r[0].Envelope
				return err
			})
			return [][]byte{unsigned(stored)}, 2
		}, wire.Stale, record.FaultForked, alarm.Fork},
		{"a fork of the next record: it follows nothing stored", func(p *pen) ([][]byte, record.Seq) {
			h := p.chain.Head()
			h.Hash[0] ^= 1
			return [][]byte{p.forge(h, p.beat(), p.key)}, 4
		}, wire.BadEvidence, record.FaultBrokenLink, alarm.BadRecord},
		{"a changed record", func(p *pen) ([][]byte, record.Seq) {
			b := p.beats(3)
			b[1] = spoiled(b[1])
			return b, 4
		}, wire.BadEvidence, "", alarm.BadRecord},
		{"the last record's signature changed", func(p *pen) ([][]byte, record.Seq) {
			b := p.beats(3)
			b[2] = unsigned(b[2])
			return b, 4
		}, wire.BadEvidence, record.FaultBadSignature, alarm.BadRecord},
		{"signed with a key of somebody else", func(p *pen) ([][]byte, record.Seq) {
			return [][]byte{p.forge(p.chain.Head(), p.beat(), newKey(p))}, 4
		}, wire.BadEvidence, record.FaultForeignKey, alarm.BadRecord},
		{"signed with the key of the epoch before", func(p *pen) ([][]byte, record.Seq) {
			s := p.seal()
			return [][]byte{s, p.forge(p.chain.Head(), p.beat(), p.old)}, 4
		}, wire.BadEvidence, record.FaultForeignKey, alarm.BadRecord},
		{"a seal inside whose signature is bad", func(p *pen) ([][]byte, record.Seq) {
			s := unsigned(p.seal())
			return append([][]byte{s}, p.beats(2)...), 4
		}, wire.BadEvidence, record.FaultBadSignature, alarm.BadRecord},
		{"a seal that counts wrong", func(p *pen) ([][]byte, record.Seq) {
			s := p.beat()
			s.Type, s.Beat = record.EpochSealed, nil
			s.Seal = &record.Seal{Records: 7, Next: record.PublicKeyOf(newKey(p))}
			return [][]byte{p.forge(p.chain.Head(), s, p.key)}, 4
		}, wire.BadEvidence, record.FaultSealCount, alarm.BadRecord},
		{"records of another station", func(p *pen) ([][]byte, record.Seq) {
			h := p.chain.Head()
			h.Station = packing
			return [][]byte{p.forge(h, p.beat(), p.key)}, 4
		}, wire.BadEvidence, record.FaultWrongStation, alarm.BadRecord},
		{"no record at all", func(*pen) ([][]byte, record.Seq) {
			return [][]byte{[]byte("hello")}, 4
		}, wire.BadEvidence, record.FaultMalformed, alarm.BadRecord},
		{"white space after it", func(p *pen) ([][]byte, record.Seq) {
			return [][]byte{append(p.beats(1)[0], '\n')}, 4
		}, wire.BadEvidence, "", alarm.BadRecord},
		{"an empty one", func(*pen) ([][]byte, record.Seq) {
			return [][]byte{nil}, 4
		}, wire.BadEvidence, "", alarm.BadRecord},
	} {
		t.Run(row.says, func(t *testing.T) {
			p := newDesk(t).enrol(press)
			if _, err := p.send(1, p.beats(3)...); err != nil {
				t.Fatal(err)
			}
			batch, first := row.send(p)
			_, err := p.send(first, batch...)
			if wire.KindOf(err) != row.kind || !strings.Contains(err.Error(), string(row.fault)) {
				t.Errorf("got %v (%s), want %q (%s)", err, wire.KindOf(err), row.fault, row.kind)
			}
			if what, ok := p.alarms(press)[string(row.alarm)]; !ok || !strings.Contains(what, string(row.fault)) {
				t.Errorf("alarms are %v, want %s that tells of %q", p.alarms(press), row.alarm, row.fault)
			}
			if n := p.rejects(press); n != 1 {
				t.Errorf("%d refused batches are kept, want 1", n)
			}
			if n := p.holds(); n != 3 {
				t.Errorf("%d records are stored, want the 3 from before", n)
			}
		})
	}
}

func TestAFloodOfBadBatchesIsOneAlarmAndKeepsAFew(t *testing.T) {
	p := newDesk(t).enrol(press)
	for range store.RejectLimit + 20 {
		if _, err := p.send(1, []byte("hello")); wire.KindOf(err) != wire.BadEvidence {
			t.Fatal(err)
		}
	}
	if n := p.rejects(press); n != store.RejectLimit {
		t.Errorf("%d are kept, want %d", n, store.RejectLimit)
	}
	p.view(func(tx *store.Tx) error {
		n, err := tx.OpenAlarms()
		if n != 1 {
			t.Errorf("%d alarms, want 1", n)
		}
		return err
	})
}

func TestAChainThatIsNotTheCallers(t *testing.T) {
	d := newDesk(t)
	mine, theirs := d.enrol(press), d.enrol(packing)
	batch := mine.beats(2)
	for says, chain := range map[string]record.ChainID{"another station's": mine.id, "nobody's": record.ChainID(uuid.NewString())} {
		_, _, err := d.Take(t.Context(), ingest.Batch{Station: theirs.station, Chain: chain, First: 1, Records: batch})
		if wire.KindOf(err) != wire.Denied || !strings.Contains(err.Error(), "not one of station") {
			t.Errorf("%s: %v", says, err)
		}
	}
	if n := mine.holds(); n != 0 {
		t.Errorf("%d records were written by another station", n)
	}
}

func TestLimitsOfABatch(t *testing.T) {
	p := newDesk(t).enrol(press)
	one := p.beats(1)[0]
	big := bytes.Repeat([]byte("x"), record.MaxRecord)
	for _, row := range []struct {
		says, names string
		batch       ingest.Batch
	}{
		{"no chain", "chain", ingest.Batch{First: 1, Records: [][]byte{one}}},
		{"a chain in capital letters", "chain", ingest.Batch{Chain: record.ChainID(strings.ToUpper(string(p.id))), First: 1, Records: [][]byte{one}}},
		{"a record before the first", "first_seq", ingest.Batch{Chain: p.id, Records: [][]byte{one}}},
		{"a number that no station reaches", "first_seq", ingest.Batch{Chain: p.id, First: 1 << 63, Records: [][]byte{one}}},
		{"too many", "records", ingest.Batch{Chain: p.id, First: 1, Records: make([][]byte, ingest.MaxRecords+1)}},
		{"too much", "records", ingest.Batch{Chain: p.id, First: 1, Records: slices.Repeat([][]byte{big}, ingest.MaxBytes/record.MaxRecord+1)}},
		{"one too long", "entry 1", ingest.Batch{Chain: p.id, First: 1, Records: [][]byte{one, append(big, 'x')}}},
	} {
		row.batch.Station = press
		_, _, err := p.Take(t.Context(), row.batch)
		if wire.KindOf(err) != wire.Invalid || !strings.Contains(err.Error(), row.names) {
			t.Errorf("%s: got %v, want one that names %s", row.says, err, row.names)
		}
	}
	if n, a := p.rejects(press), p.alarms(press); n != 0 || len(a) != 0 {
		t.Errorf("a slip of the sender is kept as evidence: %d, %v", n, a)
	}
	// The greatest number that is taken adds up without running over.
	if _, _, err := p.Take(t.Context(), ingest.Batch{Station: press, Chain: p.id, First: 1 << 62, Records: [][]byte{one}}); wire.KindOf(err) != wire.Precondition {
		t.Errorf("got %v, want a gap", err)
	}
}
