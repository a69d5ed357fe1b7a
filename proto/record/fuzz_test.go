package record_test

import (
	"bytes"
	"testing"

	"tapline/proto/record"
)

// What parses as an envelope is what is written for it: there is no second spelling.
func FuzzEnvelopeThatParsesHasOneSpelling(f *testing.F) {
	for _, c := range golden(f).chains {
		f.Add([]byte(c.statement))
		f.Add([]byte(c.receipt))
		f.Add([]byte(c.records[0]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := record.ParseEnvelope(b)
		if err != nil {
			return
		}
		again := envelopeOf(e)
		if !bytes.Equal(again, b) {
			t.Errorf("parsed  %s\nwritten %s", b, again)
		}
	})
}

// What parses as a payload signs to the same bytes.
func FuzzPayloadThatParsesReencodes(f *testing.F) {
	for _, c := range golden(f).chains {
		for i := range c.records {
			f.Add(c.payload(f, record.Seq(i+1)))
		}
	}
	signer := key("fuzz")
	f.Fuzz(func(t *testing.T, payload string) {
		e, err := record.ParseEnvelope([]byte(envelope(record.RecordPayloadType, payload, signer)))
		if err != nil {
			return
		}
		p, err := e.Payload()
		if err != nil {
			return
		}
		again, err := record.SignPayload(p, signer)
		if err != nil {
			t.Fatalf("%s parses and cannot be signed: %v", payload, err)
		}
		if !bytes.Equal(again.Bytes(), e.Bytes()) {
			t.Errorf("parsed  %s\nwritten %s", e.Bytes(), again.Bytes())
		}
	})
}

// A record that differs from the genuine one in any way does not verify in its place.
func FuzzChangedRecordNeverVerifies(f *testing.F) {
	c := golden(f).chains[line]
	for i := range c.records {
		f.Add([]byte(c.records[i]))
	}
	heads := make([]record.Head, len(c.records))
	for i := range heads {
		heads[i] = c.head(f, i)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for i, head := range heads {
			if _, _, err := record.CheckBatch(head, [][]byte{b}, record.CheckAll); err == nil && string(b) != c.records[i] {
				t.Errorf("verifies as record %d: %s", i+1, b)
			}
		}
	})
}

// The verifier never panics and never takes more than it was given, whatever the lines are.
func FuzzVerifierTakesAnyLines(f *testing.F) {
	w := golden(f)
	trust, err := record.ParseTrust([]byte(w.trust))
	if err != nil {
		f.Fatal(err)
	}
	c := w.chains[line]
	f.Add([]byte(c.records[0]+"\n"+c.records[1]), true)
	f.Add([]byte(c.records[3]+"\n"+c.records[4]), true)
	f.Fuzz(func(t *testing.T, b []byte, trimmed bool) {
		v := record.NewVerifier(trust)
		cv, err := v.Station(parse(t, c.statement))
		if err != nil {
			t.Fatal(err)
		}
		cv.Receipt(parse(t, c.receipt))
		if trimmed {
			cv.Trimmed()
		}
		lines := bytes.Split(b, []byte("\n"))
		for _, l := range lines {
			cv.Add(l)
		}
		if cv.Finish() == nil {
			t.Errorf("chain without its end is good: %s", b)
		}
		if cv.Records() > uint64(len(lines)) {
			t.Errorf("%d records of %d lines", cv.Records(), len(lines))
		}
	})
}

// What parses as trust re-encodes to the same bytes.
func FuzzTrustThatParsesReencodes(f *testing.F) {
	f.Add([]byte(golden(f).trust))
	f.Fuzz(func(t *testing.T, b []byte) {
		trust, err := record.ParseTrust(b)
		if err != nil {
			return
		}
		again, err := trust.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("parsed  %s\nwritten %s (%v)", b, again, err)
		}
	})
}
