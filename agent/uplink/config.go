package uplink

import (
	"context"
	"crypto/tls"
	"iter"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// ErrAway says that there is no line to a broker now. Nothing was sent. Its kind is wire.Unavailable.
var ErrAway = wire.E(wire.Unavailable, "no line to a broker")

// Journal is where the station's records are, durably. Its methods are called from one goroutine at a time.
type Journal interface {
	// Entries yields the envelopes of the records from seq on, to the newest durable one.
	Entries(from record.Seq) iter.Seq2[[]byte, error]
	// Bounds returns the sequence numbers of the oldest record kept and of the next to be written.
	Bounds() (first, next record.Seq)
	// Appended returns a channel that is closed when a record becomes durable after this call.
	Appended() <-chan struct{}
	// Acked keeps a receipt that was found good. What it covers may be trimmed. An error is told and the receipt counts all the same.
	Acked(receipt record.Envelope, r record.Receipt) error
}

// Config says whose line it is and who is told what. Station, Chain, Brokers, TLS, EvidenceKey and Journal are needed.
type Config struct {
	Station record.StationID
	Chain   record.ChainID
	// Brokers lists the brokers, host:port, in order of preference. Asked before each dial.
	Brokers func() []string
	// TLS shows the station's certificate and trusts the broker's roots.
	TLS *tls.Config
	// EvidenceKey checks receipts.
	EvidenceKey func() record.PublicKey
	// Changed returns a channel that is closed when the identity changes: the line is then made anew. Nil for never.
	Changed func() <-chan struct{}
	// Moved returns a channel that is closed when Brokers gives others or the machine wakes up: the line is then made anew, without waiting. Nil for never.
	Moved   func() <-chan struct{}
	Journal Journal
	// LastReceipt is the newest receipt that the journal kept; zero for none. A broker that is behind it has lost records.
	LastReceipt record.Receipt

	// OnCommand carries out a command, one at a time. A nil result of a command with an ID is reported as not carried out. Nil refuses all.
	OnCommand func(context.Context, *taplinev1.StreamCommandsResponse) *taplinev1.CommandResult
	// Beat says how the station is. Nil beats with the chain alone.
	Beat func() *taplinev1.StationBeat
	// Bundle is the sequence number of the grant bundle in hand; nil for none.
	Bundle func() uint64
	// OnBundle takes a new bundle's envelope. An error means that it was not taken; it is fetched again later.
	OnBundle func(envelope []byte) error
	// OnTime is told the broker's time, with each answer.
	OnTime func(broker time.Time)
	// OnState is told of every change, in order. It must not wait, nor call CloseSession.
	OnState func(State)
	// OnRefused is told that a broker does not take the station's certificate. It must not wait. May be nil.
	OnRefused func()
	// Log may be nil.
	Log *zap.Logger
	// Timing has usable zero values.
	Timing Timing
	// DialOptions are for tests.
	DialOptions []grpc.DialOption
}

// Timing is how patient the line is. Zero values take the defaults.
type Timing struct {
	Answer     time.Duration // until the command stream must have answered; 5 s
	Receipt    time.Duration // until a batch must have its receipt; 15 s
	Beat       time.Duration // between beats until the broker asks for another interval; 15 s
	RetryFirst time.Duration // pause after the first failed round; 200 ms
	RetryMax   time.Duration // longest pause; 15 s
	Stable     time.Duration // a line that lasted this long starts the pauses anew; 30 s
	Stall      time.Duration // longest rest of the record stream after a fault that is not the line's; 10 s
	Bundle     time.Duration // between looks for a newer bundle; 1 h
}

// Limits of the record stream.
const (
	batchRecords = 256
	firstBatch   = 16 // of a new stream
	batchBytes   = 1 << 20
	inFlight     = 2
)

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{
		{&c.Timing.Answer, 5 * time.Second},
		{&c.Timing.Receipt, 15 * time.Second},
		{&c.Timing.Beat, 15 * time.Second},
		{&c.Timing.RetryFirst, 200 * time.Millisecond},
		{&c.Timing.RetryMax, 15 * time.Second},
		{&c.Timing.Stable, 30 * time.Second},
		{&c.Timing.Stall, 10 * time.Second},
		{&c.Timing.Bundle, time.Hour},
	} {
		if *d.value <= 0 {
			*d.value = d.or
		}
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Moved == nil {
		c.Moved = func() <-chan struct{} { return nil }
	}
	if c.Changed == nil {
		c.Changed = func() <-chan struct{} { return nil }
	}
	if c.OnTime == nil {
		c.OnTime = func(time.Time) {}
	}
	if c.OnState == nil {
		c.OnState = func(State) {}
	}
	if c.OnCommand == nil {
		c.OnCommand = func(context.Context, *taplinev1.StreamCommandsResponse) *taplinev1.CommandResult { return nil }
	}
	if c.Beat == nil {
		c.Beat = func() *taplinev1.StationBeat { return &taplinev1.StationBeat{Chain: string(c.Chain)} }
	}
	if c.Bundle == nil {
		c.Bundle = func() uint64 { return 0 }
	}
	return c
}
