package fleet

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"tapline/agent/identity"
	"tapline/agent/uplink"
	"tapline/proto/ledger"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// Deadline is how long a tap waits for the broker: the agent's own default.
const Deadline = 400 * time.Millisecond

// Station is one simulated station. Its methods may be called from several goroutines; taps of one station come one after the other.
type Station struct {
	ID      record.StationID
	line    *uplink.Uplink
	journal *journal
	tls     *tls.Config
	brokers func() []string

	mu   sync.Mutex // held over a tap; guards here
	here *record.From
}

func newStation(cfg Config, gap *Gap, m *identity.Manager, ks *keys, disk *ledger.Ledger) (*Station, error) {
	id := m.Current()
	seed, err := ks.Get(identity.RecordKeyName(1))
	if err != nil {
		return nil, err
	}
	var statement record.StationStatement
	if err := record.OpenStatement(id.Statement, record.StationPayloadType, id.EvidenceKey, &statement); err != nil {
		return nil, fmt.Errorf("station statement: %w", err)
	}
	s := &Station{ID: id.Station, journal: newJournal(statement, ed25519.NewKeyFromSeed(seed), uuid.NewString(), gap, disk), tls: m.TLS(), brokers: func() []string {
		if len(cfg.Brokers) > 0 {
			return cfg.Brokers
		}
		return m.Current().Brokers
	}}
	s.line = uplink.New(uplink.Config{
		Station: id.Station, Chain: id.Chain, TLS: s.tls, Journal: s.journal, Brokers: s.brokers, Changed: m.Changed, OnTime: m.ObserveTime, Log: cfg.Log,
		EvidenceKey: func() record.PublicKey { return m.Current().EvidenceKey },
		Beat: func() *taplinev1.StationBeat {
			head := s.journal.head()
			return &taplinev1.StationBeat{
				Chain: string(id.Chain), Seq: uint64(head.Seq), Head: head.Hash[:], Build: "fleet", Backlog: uint64(head.Seq - s.journal.under()),
			}
		},
	})
	return s, nil
}

// Outcome is what became of a tap.
type Outcome struct {
	Allowed bool
	By      string        // "broker", or "bundle" when the broker was not there in time
	Took    time.Duration // until the decision
	Refusal taplinev1.RefusalCause
	Trouble error // why the broker did not decide
}

// Ask has a tap decided and writes nothing: what a decision alone costs.
func (s *Station) Ask(ctx context.Context, who Person) (Outcome, error) {
	o, _, _, err := s.ask(ctx, who)
	return o, err
}

func (s *Station) ask(ctx context.Context, who Person) (Outcome, record.SessionID, *taplinev1.OpenSessionResponse, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Outcome{}, "", nil, fmt.Errorf("name session: %w", err)
	}
	begun := time.Now()
	asked, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	answer, err := s.line.OpenSession(asked, &taplinev1.OpenSessionRequest{
		Session: id.String(), Badge: proof(who.Badge), Mode: taplinev1.Mode_MODE_ATTRIBUTE, Reader: "simulated",
	})
	o := Outcome{Took: time.Since(begun), By: "broker", Allowed: answer.GetDecision().GetAllowed(), Refusal: answer.GetDecision().GetRefusal()}
	if err != nil {
		o.By, o.Allowed, o.Trouble = "bundle", true, err
	}
	return o, record.SessionID(id.String()), answer, nil
}

// Tap taps a person in: it asks the broker, and writes the record of what came of it.
func (s *Station) Tap(ctx context.Context, who Person) (Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, session, answer, err := s.ask(ctx, who)
	if err != nil {
		return o, err
	}
	return o, s.write(o, who, session, answer)
}

func (s *Station) write(o Outcome, who Person, id record.SessionID, answer *taplinev1.OpenSessionResponse) error {
	p := record.Payload{Mode: record.ModeAttribute, Reader: "simulated", Badge: &record.Badge{Assurance: 1, Factors: []string{"badge"}}}
	p.Decision = &record.Decision{By: o.By, Policy: answer.GetDecision().GetPolicyVersion(), Rules: answer.GetDecision().GetRules()}
	if !o.Allowed {
		p.Type, p.Reason = record.TapRefused, "policy"
		return s.journal.write(p)
	}
	p.Type, p.Session, p.Person = record.SessionOpened, id, record.PersonID(who.ID)
	if l := answer.GetLease(); l != nil {
		p.Lease = &record.Lease{ID: l.GetId(), Fence: record.Fence(l.GetFence())}
	}
	if s.here != nil {
		p.Type, p.From = record.SessionHandedOver, s.here
	}
	s.here = &record.From{Session: id, Person: p.Person}
	return s.journal.write(p)
}

// Beat writes n heartbeats, the smallest of records.
func (s *Station) Beat(n int) error {
	for range n {
		err := s.journal.write(record.Payload{
			Type: record.StationHeartbeat, Mode: record.ModeAttribute, Beat: &record.Beat{Interval: 300, Acked: s.journal.under(), State: "idle"},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Connected reports whether there is a line to a broker.
func (s *Station) Connected() bool { return s.line.Connected() }

// Broker is the broker that the line is to, or was last.
func (s *Station) Broker() string { return s.line.State().Broker }

// Records is how many records there are, and how many of them are under a receipt.
func (s *Station) Records() (all, acked record.Seq) { return s.journal.head().Seq, s.journal.under() }

// Drained reports whether every record is under a receipt.
func (s *Station) Drained() bool {
	all, acked := s.Records()
	return all == acked
}

// Await waits until ready says so of the station, or ctx ends.
func (s *Station) Await(ctx context.Context, ready func(*Station) bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ready(s) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
