// Package audit is the auditor's service: it reads what the broker has stored, answers who was where, and hands out the evidence.
//
// tapctl and audit tools call it over gRPC with an administrator's or an auditor's certificate. It writes nothing. What it says of a session is
// worked out from records when they arrive (broker/ingest); what proves it is the records themselves, which Export hands out as files
// that tapaudit verifies without a broker.
package audit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/identity"
	"tapline/broker/store"
	"tapline/broker/tlog"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Service is the AuditService.
type Service struct {
	taplinev1.UnimplementedAuditServiceServer
	Store     *store.Store
	Evidence  *identity.Evidence
	Authority *identity.Authority
	Log       *tlog.Log
	Feed      *Feed
	Now       func() time.Time
	// ClaimWithin is after what time an emergency must have been claimed.
	ClaimWithin time.Duration
	// Connected reports whether a station's line stands.
	Connected func(record.StationID) bool
	// Stopping is closed when the broker stops: watches end.
	Stopping <-chan struct{}
}

// Limits of an answer.
const (
	defaultLimit = 1000
	maxLimit     = 100_000
	pageSize     = 500
	maxNames     = 1000 // entries of a filter's list
	maxName      = 256
)

// filter checks a filter and turns it into the store's. at is where its fields are in the request: "filter.", or nothing.
func filter(at string, f *taplinev1.RecordFilter) (store.Filter, error) {
	out := store.Filter{Stations: f.GetStations(), People: f.GetPeople(), Types: f.GetTypes(), Session: record.SessionID(f.GetSession())}
	for field, list := range map[string][]string{"stations": f.GetStations(), "people": f.GetPeople(), "types": f.GetTypes()} {
		if len(list) > maxNames {
			return out, wire.E(wire.Invalid, "%s%s: more than %d entries", at, field, maxNames)
		}
		if slices.ContainsFunc(list, func(s string) bool { return s == "" || len(s) > maxName }) {
			return out, wire.E(wire.Invalid, "%s%s: an entry is empty or longer than %d", at, field, maxName)
		}
	}
	if len(out.Session) > maxName {
		return out, wire.E(wire.Invalid, "%ssession: longer than %d", at, maxName)
	}
	for field, t := range map[string]*timestamppb.Timestamp{"from": f.GetFrom(), "until": f.GetUntil()} {
		if t != nil && !t.IsValid() {
			return out, wire.E(wire.Invalid, "%s%s: out of range", at, field)
		}
	}
	if f.GetFrom() != nil {
		out.From = f.GetFrom().AsTime()
	}
	if f.GetUntil() != nil {
		out.Until = f.GetUntil().AsTime()
	}
	return out, nil
}

func limitOf(n uint32) (int, error) {
	switch {
	case n == 0:
		return defaultLimit, nil
	case n > maxLimit:
		return 0, wire.E(wire.Invalid, "limit: %d, at most %d", n, maxLimit)
	}
	return int(n), nil
}

// QueryRecords streams stored records, oldest first.
func (s *Service) QueryRecords(req *taplinev1.QueryRecordsRequest, stream grpc.ServerStreamingServer[taplinev1.QueryRecordsResponse]) error {
	f, err := filter("filter.", req.GetFilter())
	if err != nil {
		return err
	}
	left, err := limitOf(req.GetLimit())
	if err != nil {
		return err
	}
	after := req.GetAfter()
	for left > 0 {
		some, size, err := s.page(stream.Context(), f, after, min(left, pageSize))
		if err != nil || len(some) == 0 {
			return err
		}
		for _, r := range some {
			if err := stream.Send(&taplinev1.QueryRecordsResponse{Record: message(r, size)}); err != nil {
				return err
			}
		}
		after, left = some[len(some)-1].Cursor, left-len(some)
	}
	return nil
}

// page reads some records, and how many of all records are in the log.
func (s *Service) page(ctx context.Context, f store.Filter, after uint64, limit int) (found []store.Record, size uint64, err error) {
	err = s.Store.View(ctx, func(tx *store.Tx) (err error) {
		if size, err = logged(tx); err != nil {
			return err
		}
		found, err = tx.Records(f, after, limit)
		return err
	})
	return found, size, err
}

// WatchRecords streams records as they come.
func (s *Service) WatchRecords(req *taplinev1.WatchRecordsRequest, stream grpc.ServerStreamingServer[taplinev1.WatchRecordsResponse]) error {
	f, err := filter("filter.", req.GetFilter())
	if err != nil {
		return err
	}
	after := req.GetAfter()
	for {
		news := s.Feed.Wait() // before the look, so that nothing falls between
		some, size, err := s.page(stream.Context(), f, after, pageSize)
		if err != nil {
			return err
		}
		for _, r := range some {
			if err := stream.Send(&taplinev1.WatchRecordsResponse{Record: message(r, size)}); err != nil {
				return err
			}
			after = r.Cursor
		}
		if len(some) == pageSize {
			continue
		}
		select {
		case <-news:
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-s.Stopping:
			return wire.E(wire.Unavailable, "the broker is stopping; go on after cursor %d", after)
		}
	}
}

func message(r store.Record, size uint64) *taplinev1.StoredRecord {
	return &taplinev1.StoredRecord{
		Envelope: r.Envelope, ReceivedAt: timestamppb.New(r.ReceivedAt), Cursor: r.Cursor, Verified: r.Verified && r.Fault == "", Fault: r.Fault,
		LeafPlusOne: leaf(r, size),
	}
}

// ListSessions streams sessions, newest first.
func (s *Service) ListSessions(req *taplinev1.ListSessionsRequest, stream grpc.ServerStreamingServer[taplinev1.ListSessionsResponse]) error {
	f, err := filter("filter.", req.GetFilter())
	if err != nil {
		return err
	}
	limit, err := limitOf(req.GetLimit())
	if err != nil {
		return err
	}
	var all []*taplinev1.Session
	err = s.Store.View(stream.Context(), func(tx *store.Tx) error {
		found, err := tx.Sessions(f, limit)
		if err != nil {
			return err
		}
		all, err = sessions(tx, found)
		return err
	})
	if err != nil {
		return err
	}
	for _, one := range all {
		if err := stream.Send(&taplinev1.ListSessionsResponse{Session: one}); err != nil {
			return err
		}
	}
	return nil
}

// sessions are messages of sessions, with the names of those who are still in the directory.
func sessions(tx *store.Tx, found []store.Session) ([]*taplinev1.Session, error) {
	names := map[record.PersonID]string{}
	all := make([]*taplinev1.Session, len(found))
	for i, one := range found {
		name, known := names[one.Person]
		if !known && one.Person != "" {
			p, err := tx.Person(one.Person)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			name = p.GetDisplayName()
			names[one.Person] = name
		}
		all[i] = sessionMessage(one, name)
	}
	return all, nil
}

func sessionMessage(s store.Session, name string) *taplinev1.Session {
	m := &taplinev1.Session{
		Session: string(s.ID), Station: string(s.Station), Person: string(s.Person), Account: string(s.Account), OpenedAt: timestamppb.New(s.OpenedAt),
		Reason: string(s.Reason), DecidedBy: s.DecidedBy, Mode: taplinev1.Mode(taplinev1.Mode_value["MODE_"+strings.ToUpper(string(s.Mode))]),
		Assurance: taplinev1.Assurance(s.Assurance), OpenedSeq: uint64(s.OpenedSeq), ClosedSeq: uint64(s.ClosedSeq), DisplayName: name,
	}
	if !s.ClosedAt.IsZero() {
		m.ClosedAt = timestamppb.New(s.ClosedAt)
	}
	return m
}
