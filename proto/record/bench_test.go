package record_test

import (
	"testing"
	"time"

	"tapline/proto/record"
)

// perRecord adds the figures that notes and reports use.
func perRecord(b *testing.B, records int) {
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*records), "us/record")
	b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkSign(b *testing.B) {
	st := statement(hmi1, 3, nil)
	c, signer, p := record.NewChain(st), epochKey(st.Chain, 1), lineRecords()[2]
	p.Time = at(0)
	for b.Loop() {
		if _, err := c.Next(p, signer); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b, 1)
}

func BenchmarkParse(b *testing.B) {
	raw := []byte(golden(b).chains[line].records[2])
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := record.ReadEntry(raw); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b, 1)
}

func BenchmarkCheckBatch(b *testing.B) {
	st := statement(hmi1, 3, nil)
	c := record.NewChain(st)
	var raw [][]byte
	for i := range 500 {
		raw = append(raw, write(b, c, heartbeat(time.Duration(i)*time.Second)).Bytes())
	}
	for name, how := range map[string]record.Check{"head": record.CheckHead, "all": record.CheckAll} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := record.CheckBatch(st.Head(), raw, how); err != nil {
					b.Fatal(err)
				}
			}
			perRecord(b, len(raw))
		})
	}
}

func BenchmarkVerifier(b *testing.B) {
	w := golden(b)
	trust, err := record.ParseTrust([]byte(w.trust))
	if err != nil {
		b.Fatal(err)
	}
	c := w.chains[line]
	for b.Loop() {
		cv, err := record.NewVerifier(trust).Station(parse(b, c.statement))
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range c.records {
			if f := cv.Add([]byte(r)); f != nil {
				b.Fatal(f)
			}
		}
	}
	perRecord(b, len(c.records))
}
