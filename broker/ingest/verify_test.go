package ingest_test

import (
	"bytes"
	"maps"
	"testing"

	"tapline/broker/alarm"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// The chain binds a record's bytes and not its signature, so these pass at first.
func TestASignatureThatIsBadWithinAGoodChainIsFoundSoonAfter(t *testing.T) {
	p := newDesk(t).enrol(press)
	batch := p.beats(8)
	batch[2] = unsigned(batch[2])
	key := p.chain.Head().EpochKey
	other := record.PublicKeyOf(newKey(t))
	batch[5] = bytes.Replace(batch[5], []byte(key.ID()), []byte(other.ID()), 1)
	both := bytes.Replace(batch[6], []byte(key.ID()), []byte(other.ID()), 1)
	batch[6] = unsigned(both)
	if r, err := p.send(1, batch...); err != nil || r.Seq != 8 {
		t.Fatalf("%d, %v", r.Seq, err)
	}
	if n, err := p.VerifyPending(t.Context()); err != nil || n != 7 {
		t.Errorf("%d were checked, %v; want 7, for the last one was before", n, err)
	}
	want := map[record.Seq]string{
		3: string(record.FaultBadSignature), 6: string(record.FaultKeyIDSwapped), 7: string(record.FaultForeignKey),
	}
	if got := p.faults(); !maps.Equal(got, want) {
		t.Errorf("marked are %v, want %v", got, want)
	}
	if _, ok := p.alarms(press)[string(alarm.BadRecord)]; !ok {
		t.Error("there is no alarm")
	}
	if n := p.holds(); n != 8 {
		t.Errorf("%d are stored, want all 8: nothing is dropped", n)
	}
	if n, err := p.VerifyPending(t.Context()); err != nil || n != 0 {
		t.Errorf("%d were checked again, %v", n, err)
	}
}

func TestAllSignaturesAreCheckedHoweverManyWait(t *testing.T) {
	d := newDesk(t)
	bad := map[record.Seq]string{77: string(record.FaultBadSignature)}
	pens := []*pen{d.enrol(press), d.enrol(packing)}
	for _, p := range pens {
		batch := p.beats(700)
		batch[76] = unsigned(batch[76])
		if _, err := p.send(1, batch...); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.VerifyPending(t.Context()); err != nil || n != 2*699 {
		t.Errorf("%d were checked, %v; want %d", n, err, 2*699)
	}
	for _, p := range pens {
		if got := p.faults(); !maps.Equal(got, bad) {
			t.Errorf("%s: marked are %v, want %v", p.station, got, bad)
		}
	}
}

// FuzzTake holds that what comes in is stored whole or refused, whatever it is, and that a byte that was changed on the way is found: at once, or
// by VerifyPending.
func FuzzTake(f *testing.F) {
	f.Add(uint8(1), uint16(30), byte(1), []byte("{}"))
	f.Add(uint8(0), uint16(700), byte(0x20), []byte(nil))
	f.Add(uint8(2), uint16(0), byte(0), []byte(`{"payload":"e30=","payloadType":"x","signatures":[]}`))
	d := newDesk(f)
	f.Fuzz(func(t *testing.T, which uint8, at uint16, flip byte, extra []byte) {
		p := (&desk{TB: t, Ingest: d.Ingest, at: d.at}).enrol(press)
		batch := p.beats(3)
		i := int(which) % 3
		spoilt := bytes.Clone(batch[i])
		spoilt[int(at)%len(spoilt)] ^= flip
		batch[i] = spoilt
		if extra != nil {
			batch = append(batch, extra)
		}
		good := flip == 0 && extra == nil
		_, err := p.send(1, batch...)
		switch n := p.holds(); {
		case err == nil && n != len(batch), err != nil && n != 0:
			t.Fatalf("%d records are stored after %v", n, err)
		case err != nil && wire.KindOf(err) != wire.BadEvidence && wire.KindOf(err) != wire.Invalid:
			t.Fatalf("got %v (%s)", err, wire.KindOf(err))
		case good && err != nil:
			t.Fatal(err)
		case err != nil:
			return
		}
		if _, err := p.VerifyPending(t.Context()); err != nil {
			t.Fatal(err)
		}
		if found := p.faults(); (len(found) == 0) != good {
			t.Fatalf("marked are %v, changed by %#x at %d of record %d", found, flip, at, i+1)
		}
	})
}
