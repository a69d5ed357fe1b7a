package record_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"tapline/proto/record"
)

// The signed bytes are those of another implementation of DSSE.
func TestPAEIsThatOfDSSE(t *testing.T) {
	for _, c := range golden(t).chains {
		for _, raw := range append(c.records, c.statement, c.receipt) {
			e := parse(t, raw)
			if want := dsse.PAE(e.PayloadType(), e.PayloadBytes()); !bytes.Equal(e.PAE(), want) {
				t.Errorf("got %q, want %q", e.PAE(), want)
			}
		}
	}
}

func TestEnvelopeIsWhatTheSpecificationSays(t *testing.T) {
	c := golden(t).chains[line]
	for i, raw := range c.records {
		e := c.entry(t, record.Seq(i+1))
		want := envelope(record.RecordPayloadType, string(e.Envelope.PayloadBytes()), epochKey(c.id.Chain, e.Payload.Epoch))
		if raw != want {
			t.Errorf("record %d\ngot  %s\nwant %s", i+1, raw, want)
		}
	}
}

func TestNothingIsSignedThatCannotBeRead(t *testing.T) {
	good := golden(t).chains[line].entry(t, 3).Payload
	for _, c := range []struct {
		name   string
		change func(*record.Payload)
		want   error
	}{
		{"a string that is not UTF-8", func(p *record.Payload) { p.Reader = "reader \xff" }, record.FaultNotCanonical},
		{"a station with two levels", func(p *record.Payload) { p.Station = "oslo/hmi-1" }, record.FaultBadPayload},
		{"a station that climbs out of its folder", func(p *record.Payload) { p.Station = "oslo/../line-1/hmi-1" }, record.FaultBadPayload},
		{"a chain in upper case", func(p *record.Payload) { p.Chain = record.ChainID(strings.ToUpper(string(p.Chain))) }, record.FaultBadPayload},
		{"a mode that is none", func(p *record.Payload) { p.Mode = "kiosk" }, record.FaultBadPayload},
		{"a state of the clock that is none", func(p *record.Payload) { p.Time.State = "" }, record.FaultBadPayload},
		{"a session without a decision", func(p *record.Payload) { p.Decision = nil }, record.FaultBadPayload},
		{"a person of 300 letters", func(p *record.Payload) { p.Person = record.PersonID(strings.Repeat("p", 300)) }, record.FaultBadPayload},
		{"rules without end", func(p *record.Payload) { p.Decision.Rules = []string{strings.Repeat("r", record.MaxRecord)} }, record.FaultTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := good
			decision := *good.Decision
			p.Decision = &decision
			c.change(&p)
			if _, err := record.SignPayload(p, key("any")); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// A statement of ours is no record and a record is no statement, whoever signed it.
func TestTypesAreNotMixedUp(t *testing.T) {
	c := golden(t).chains[line]
	var r record.Receipt
	err := record.OpenStatement(parse(t, c.records[0]), record.ReceiptPayloadType, c.id.FirstKey, &r)
	if !errors.Is(err, record.ErrStatement) {
		t.Errorf("record opened as a receipt: got %v, want %v", err, record.ErrStatement)
	}
	if _, err := parse(t, c.receipt).Payload(); !errors.Is(err, record.FaultPayloadType) {
		t.Errorf("receipt read as a record: got %v, want %v", err, record.FaultPayloadType)
	}
	if _, err := record.SignStatement(record.RecordPayloadType, &r, key("any")); err == nil {
		t.Error("a statement was signed with the type of a record")
	}
}

func TestEpochThatIsTooFull(t *testing.T) {
	w := golden(t)
	st := statement(hmi1, 9, nil)
	c := &chain{}
	writer := record.NewChain(st)
	for writer.Head().EpochRecords < record.MaxEpochRecords-1 {
		c.records = append(c.records, string(write(t, writer, heartbeat(0)).Bytes()))
	}
	// The station goes on past the limit.
	p := heartbeat(0)
	h := writer.Head()
	p.Version, p.Station, p.Chain, p.Epoch, p.Seq, p.Prev = record.Version, st.Station, st.Chain, 1, h.Seq+1, h.Hash
	e, err := record.SignPayload(p, epochKey(st.Chain, 1))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := record.ParseTrust([]byte(w.trust))
	if err != nil {
		t.Fatal(err)
	}
	cv, err := record.NewVerifier(trust).Station(sign(t, record.StationPayloadType, &st))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range c.records {
		if f := cv.Add([]byte(r)); f != nil {
			t.Fatal(f)
		}
	}
	if f := cv.Add(e.Bytes()); f == nil || f.Kind != record.FaultEpochOverfull || f.Seq != record.MaxEpochRecords {
		t.Errorf("got %v, want %s at %d", f, record.FaultEpochOverfull, record.MaxEpochRecords)
	}
}
