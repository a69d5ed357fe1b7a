package audit

import (
	"context"
	"path"
	"slices"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/grpc"

	"tapline/broker/directory"
	"tapline/broker/store"
	"tapline/proto/checkpoint"
	"tapline/proto/record"
	"tapline/proto/record/evidence"
	"tapline/proto/wire"
)

// GetTrust gives the broker's public evidence key.
func (s *Service) GetTrust(context.Context, *taplinev1.GetTrustRequest) (*taplinev1.GetTrustResponse, error) {
	b, err := s.trust()
	if err != nil {
		return nil, err
	}
	statement, err := s.logStatement()
	return &taplinev1.GetTrustResponse{Trust: b, LogStatement: statement, LogKey: s.Log.Key.Verifier().String()}, err
}

// logStatement is what the evidence key says of the log.
func (s *Service) logStatement() ([]byte, error) {
	st := s.Log.Key.Statement()
	e, err := s.Evidence.Sign(record.LogPayloadType, &st)
	return e.Bytes(), err
}

func (s *Service) trust() ([]byte, error) {
	root := record.Hash(s.Authority.Pin())
	t := record.Trust{
		V: record.Version, RootSPKI: &root, Origin: s.Log.Key.Origin,
		Keys: []record.EvidenceKey{{Key: s.Evidence.Public(), From: s.Evidence.From().UTC()}},
	}
	return t.Encode()
}

// Export streams the evidence of stations as the files of an evidence folder. A chain that another one names as its predecessor goes with it.
func (s *Service) Export(req *taplinev1.ExportRequest, stream grpc.ServerStreamingServer[taplinev1.ExportResponse]) error {
	f, err := filter("", &taplinev1.RecordFilter{Stations: req.GetStations(), From: req.GetFrom()})
	if err != nil {
		return err
	}
	chains, err := s.chains(stream.Context(), f)
	if err != nil {
		return err
	}
	if len(chains) == 0 {
		return wire.E(wire.NotFound, "no records of these stations in that time")
	}
	x := exporter{service: s, stream: stream}
	if err := x.prepare(req.GetSinceSize()); err != nil {
		return err
	}
	trust, err := s.trust()
	if err != nil {
		return err
	}
	if err := x.file(evidence.TrustFile, trust); err != nil {
		return err
	}
	for _, c := range chains {
		if err := x.chain(c); err != nil {
			return err
		}
	}
	return x.log()
}

// chains are those that the filter wants, with their predecessors.
func (s *Service) chains(ctx context.Context, f store.Filter) ([]store.Chain, error) {
	var all []store.Chain
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.Chains()
		return err
	})
	if err != nil {
		return nil, err
	}
	wanted := map[record.ChainID]bool{}
	for _, c := range all {
		if takes(f, c.Station) && c.Head.Seq > 0 && !c.LastAt.Before(f.From) {
			wanted[c.ID] = true
		}
	}
	for range all { // a predecessor may have one too
		for _, c := range all {
			if p, err := previous(c); err != nil {
				return nil, err
			} else if p != "" && wanted[c.ID] {
				wanted[p] = true
			}
		}
	}
	return slices.DeleteFunc(all, func(c store.Chain) bool { return !wanted[c.ID] }), nil
}

func takes(f store.Filter, station record.StationID) bool {
	return len(f.Stations) == 0 || slices.ContainsFunc(f.Stations, func(at string) bool { return directory.Covers(at, station) })
}

// previous is the chain that a chain's statement names as its predecessor.
func previous(c store.Chain) (record.ChainID, error) {
	e, err := record.ParseEnvelope(c.Statement)
	if err != nil {
		return "", err
	}
	st, err := record.ReadStation(e)
	if err != nil || st.Previous == nil {
		return "", err
	}
	return st.Previous.Chain, nil
}

// exporter sends files.
type exporter struct {
	service *Service
	stream  grpc.ServerStreamingServer[taplinev1.ExportResponse]

	signed  []byte                // checkpoint of the log; nil if there is none
	head    checkpoint.Checkpoint // the same
	since   uint64
	tree    *checkpoint.Reader
	leaves  indexes  // of all chains
	cursors []uint64 // of the chain that was sent last
}

// pieceSize is how much of a file one message carries, about.
const pieceSize = 256 << 10

func (x *exporter) file(name string, line []byte) error {
	return x.stream.Send(&taplinev1.ExportResponse{Path: name, Data: append(slices.Clip(line), '\n')})
}

// chain sends a chain up to the head that it had when the export began, and a receipt for that.
func (x *exporter) chain(c store.Chain) error {
	dir := evidence.ChainPath(c.Station, c.ID)
	if err := x.file(path.Join(dir, evidence.StationFile), c.Statement); err != nil {
		return err
	}
	if err := x.records(c, path.Join(dir, evidence.RecordsFile)); err != nil {
		return err
	}
	if err := x.places(path.Join(dir, evidence.LeavesFile)); err != nil {
		return err
	}
	r := record.NewReceipt(c.Head, x.service.Now().UTC().Truncate(time.Microsecond), "")
	if x.signed != nil {
		r.Log = x.service.Log.Key.Origin
	}
	e, err := x.service.Evidence.Sign(record.ReceiptPayloadType, &r)
	if err != nil {
		return err
	}
	return x.file(path.Join(dir, evidence.ReceiptFile), e.Bytes())
}

func (x *exporter) records(c store.Chain, name string) error {
	piece := make([]byte, 0, pieceSize+record.MaxRecord)
	next := record.Seq(1)
	x.cursors = x.cursors[:0]
	for next <= c.Head.Seq {
		var some []store.Record
		err := x.service.Store.View(x.stream.Context(), func(tx *store.Tx) (err error) {
			some, err = tx.ChainRecords(c.ID, next, int(min(pageSize, c.Head.Seq-next+1)))
			return err
		})
		if err != nil {
			return err
		}
		if len(some) == 0 {
			return wire.E(wire.Internal, "record %d of chain %s is missing from the store", next, c.ID)
		}
		for _, r := range some {
			piece = append(append(piece, r.Envelope...), '\n')
			x.cursors = append(x.cursors, r.Cursor)
			if len(piece) >= pieceSize {
				if err := x.stream.Send(&taplinev1.ExportResponse{Path: name, Data: piece}); err != nil {
					return err
				}
				piece = piece[:0]
			}
		}
		next = some[len(some)-1].Seq + 1
	}
	if len(piece) == 0 && c.Head.Seq > 0 {
		return nil
	}
	return x.stream.Send(&taplinev1.ExportResponse{Path: name, Data: piece})
}
