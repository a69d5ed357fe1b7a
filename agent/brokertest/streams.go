package brokertest

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func (b *Broker) known(ctx context.Context) (string, *Station, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.caller(ctx)
}

// OpenSession answers by the table.
func (b *Broker) OpenSession(ctx context.Context, r *taplinev1.OpenSessionRequest) (*taplinev1.OpenSessionResponse, error) {
	if _, _, err := b.known(ctx); err != nil {
		return nil, err
	}
	if b.Open != nil {
		return b.Open(r), nil
	}
	return &taplinev1.OpenSessionResponse{
		Decision:   &taplinev1.Decision{Refusal: taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE},
		BrokerTime: timestamppb.New(b.Now()),
	}, nil
}

// ExtendSession extends every lease by an hour.
func (b *Broker) ExtendSession(ctx context.Context, r *taplinev1.ExtendSessionRequest) (*taplinev1.ExtendSessionResponse, error) {
	if _, _, err := b.known(ctx); err != nil {
		return nil, err
	}
	return &taplinev1.ExtendSessionResponse{
		Decision: &taplinev1.Decision{Allowed: true},
		Lease:    &taplinev1.Lease{Id: r.GetSession(), Fence: r.GetFence(), ExpiresAt: timestamppb.New(b.Now().Add(time.Hour))},
	}, nil
}

// NameBadge says whose badge it is, as OpenSession would, and lets nothing begin.
func (b *Broker) NameBadge(ctx context.Context, r *taplinev1.NameBadgeRequest) (*taplinev1.NameBadgeResponse, error) {
	opened, err := b.OpenSession(ctx, &taplinev1.OpenSessionRequest{Badge: r.GetBadge()})
	if err != nil {
		return nil, err
	}
	return &taplinev1.NameBadgeResponse{Decision: opened.GetDecision(), Person: opened.GetPerson(), BrokerTime: opened.GetBrokerTime()}, nil
}

// VerifyPin takes the PIN 1234 for anybody, and says that five wrong ones in a row are too many.
func (b *Broker) VerifyPin(ctx context.Context, r *taplinev1.VerifyPinRequest) (*taplinev1.VerifyPinResponse, error) {
	if _, _, err := b.known(ctx); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	d := &taplinev1.Decision{Allowed: r.GetPin() == "1234" && b.wrongPINs < 5}
	switch {
	case d.GetAllowed():
		b.wrongPINs = 0
	case b.wrongPINs >= 5:
		d.Refusal, d.RetryAfter = taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_LOCKED, durationpb.New(time.Minute)
	default:
		b.wrongPINs++
		d.Refusal = taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG
	}
	return &taplinev1.VerifyPinResponse{Decision: d, BrokerTime: timestamppb.New(b.Now())}, nil
}

// RequestBadge takes a request in which somebody shows who they are: by a session, or by the PIN 1234.
func (b *Broker) RequestBadge(ctx context.Context, r *taplinev1.RequestBadgeRequest) (*taplinev1.RequestBadgeResponse, error) {
	if _, _, err := b.known(ctx); err != nil {
		return nil, err
	}
	if r.GetSession() == "" && r.GetPin() != "1234" {
		return nil, wire.E(wire.Denied, "person and PIN do not match")
	}
	return &taplinev1.RequestBadgeResponse{
		Request: r.GetCode(), Person: r.GetPerson(), Approved: r.GetSession() != "", ExpiresAt: timestamppb.New(b.Now().Add(24 * time.Hour)),
	}, nil
}

// CloseSession takes note.
func (b *Broker) CloseSession(ctx context.Context, r *taplinev1.CloseSessionRequest) (*taplinev1.CloseSessionResponse, error) {
	if _, _, err := b.known(ctx); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = append(b.closed, r)
	return &taplinev1.CloseSessionResponse{BrokerTime: timestamppb.New(b.Now())}, nil
}

// FetchBundle gives the bundle when the station has none.
func (b *Broker) FetchBundle(ctx context.Context, r *taplinev1.FetchBundleRequest) (*taplinev1.FetchBundleResponse, error) {
	if _, _, err := b.known(ctx); err != nil {
		return nil, err
	}
	if b.Bundle == nil || r.GetHave() > 0 {
		return &taplinev1.FetchBundleResponse{Sequence: r.GetHave()}, nil
	}
	return &taplinev1.FetchBundleResponse{Bundle: b.Bundle, Sequence: 1}, nil
}

// StreamCommands answers the first beat with the beat interval, then sends the commands.
func (b *Broker) StreamCommands(stream taplinev1.StationService_StreamCommandsServer) error {
	if _, _, err := b.known(stream.Context()); err != nil {
		return err
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	b.count()
	err := stream.Send(&taplinev1.StreamCommandsResponse{
		BrokerTime: timestamppb.New(b.Now()), What: &taplinev1.StreamCommandsResponse_BeatInterval{BeatInterval: durationpb.New(time.Second)},
	})
	if err != nil {
		return err
	}
	var group errgroup.Group
	if b.Commands != nil {
		group.Go(func() error {
			for _, c := range b.Commands() {
				if err := stream.Send(c); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error { return b.hear(stream) })
	return group.Wait()
}

func (b *Broker) hear(stream taplinev1.StationService_StreamCommandsServer) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return ignoreEOF(err)
		}
		if r := m.GetResult(); r != nil {
			b.mu.Lock()
			b.results = append(b.results, r)
			b.mu.Unlock()
			continue
		}
		b.count()
	}
}

func (b *Broker) count() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.beats++
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// StreamRecords takes records that verify and are the next of their chain, and nothing else.
func (b *Broker) StreamRecords(stream taplinev1.StationService_StreamRecordsServer) error {
	_, s, err := b.known(stream.Context())
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return ignoreEOF(err)
		}
		answer, err := b.ingest(s, m)
		if err != nil {
			return err
		}
		if b.EditReceipt != nil {
			b.EditReceipt(answer)
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

func (b *Broker) ingest(s *Station, m *taplinev1.StreamRecordsRequest) (*taplinev1.StreamRecordsResponse, error) {
	if n := len(m.GetRecords()); b.Shed != nil && n > 0 {
		if err := b.Shed(n); err != nil {
			return nil, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.GetChain() != string(s.Chain) {
		return nil, wire.E(wire.Stale, "chain %s is not the station's", m.GetChain())
	}
	if len(m.GetRecords()) > 0 {
		if m.GetFirstSeq() != uint64(s.head.Seq)+1 {
			return nil, wire.E(wire.Stale, "the batch begins at %d, %d is next", m.GetFirstSeq(), s.head.Seq+1)
		}
		head, _, err := record.CheckBatch(s.head, m.GetRecords(), record.CheckAll)
		if err != nil {
			return nil, wire.E(wire.BadEvidence, "%w", err)
		}
		s.head, s.Records = head, append(s.Records, m.GetRecords()...)
	}
	return b.Receipt(s.head), nil
}

// Receipt signs a receipt over head.
func (b *Broker) Receipt(head record.Head) *taplinev1.StreamRecordsResponse {
	now := b.Now()
	r := record.NewReceipt(head, now, "")
	e, err := record.SignStatement(record.ReceiptPayloadType, &r, b.evidence)
	if err != nil {
		b.t.Errorf("sign receipt: %v", err)
	}
	return &taplinev1.StreamRecordsResponse{Receipt: e.Bytes(), AckedSeq: uint64(head.Seq), BrokerTime: timestamppb.New(now)}
}
