package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// Report is what a broker has of what it acknowledged.
type Report struct {
	Acked   uint64 // records under a receipt
	Stored  uint64 // records of the fleet that the broker has
	Lost    uint64 // under a receipt and not there, or there with other bytes
	Doubled uint64 // there more than once
	Gaps    uint64 // numbers of the store that no record has
	Bad     uint64 // records with a fault
}

// page is how many records are asked for at once.
const page = 10_000

// Audit reads everything that a broker has, and holds it against what it acknowledged.
func (f *Fleet) Audit(ctx context.Context, from *Admin) (Report, error) {
	var r Report
	want := map[record.ChainID]*journal{}
	for _, s := range f.Stations {
		want[s.journal.chain.Head().Chain] = s.journal
		r.Acked += uint64(s.journal.under())
	}
	seen := map[record.ChainID]map[record.Seq]bool{}
	var cursor uint64
	for {
		n, err := readPage(ctx, from, cursor, func(s *taplinev1.StoredRecord, p record.Payload) {
			r.Gaps += s.GetCursor() - cursor - 1
			cursor = s.GetCursor()
			if s.GetFault() != "" {
				r.Bad++
			}
			j := want[p.Chain]
			if j == nil {
				return // the broker's own chain
			}
			if seen[p.Chain] == nil {
				seen[p.Chain] = map[record.Seq]bool{}
			}
			if seen[p.Chain][p.Seq] {
				r.Doubled++
				return
			}
			if p.Seq <= record.Seq(len(j.records)) && bytes.Equal(j.records[p.Seq-1], s.GetEnvelope()) {
				seen[p.Chain][p.Seq] = true
				r.Stored++
			}
		})
		if err != nil {
			return r, err
		}
		if n < page {
			break
		}
	}
	for chain, j := range want {
		for seq := range j.under() {
			if !seen[chain][seq+1] {
				r.Lost++
			}
		}
	}
	return r, nil
}

func readPage(ctx context.Context, from *Admin, after uint64, each func(*taplinev1.StoredRecord, record.Payload)) (int, error) {
	stream, err := from.Audit.QueryRecords(ctx, &taplinev1.QueryRecordsRequest{After: after, Limit: page})
	if err != nil {
		return 0, err
	}
	for n := 0; ; n++ {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("read records after %d: %w", after, err)
		}
		e, err := record.ParseEnvelope(m.GetRecord().GetEnvelope())
		if err != nil {
			return n, fmt.Errorf("record %d: %w", m.GetRecord().GetCursor(), err)
		}
		p, err := e.Payload()
		if err != nil {
			return n, fmt.Errorf("record %d: %w", m.GetRecord().GetCursor(), err)
		}
		each(m.GetRecord(), p)
	}
}
