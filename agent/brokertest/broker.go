// Package brokertest has a broker for tests of the agent: small, in memory, and as strict as the real one about what an agent could get wrong.
//
// It holds the laws that it stands for: a token enrols one key, once; a certificate is renewed only in step with its join sequence, and a
// repeated request gets the same answer; a record is taken only if it verifies and is the next of its chain; a receipt is signed only over what is
// stored. Tests reach it over real TLS with Serve, or without a network with Direct, where the same certificates are checked. It
// decides about badges by a table, keeps nothing on disk, and is never linked into a product.
package brokertest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// Site is the site of every broker here.
const Site = "plant"

// Broker is one broker. Its fields are set before it serves; its methods may be called from several goroutines.
type Broker struct {
	taplinev1.UnimplementedStationServiceServer
	// Now is its clock.
	Now func() time.Time
	// Life is how long its certificates are good; 7 days if zero. They are backdated by 24 h and renewed at half their life.
	Life time.Duration
	// MaxAway is how long after expiry a station may recover by itself; 180 days if zero.
	MaxAway time.Duration
	// Open answers taps; nil refuses every badge as unknown.
	Open func(*taplinev1.OpenSessionRequest) *taplinev1.OpenSessionResponse
	// Commands are sent on each command stream after the first notice.
	Commands func() []*taplinev1.StreamCommandsResponse
	// Bundle is what FetchBundle gives.
	Bundle []byte
	// Secret is what ReleaseSecret and TakeRotation hand out.
	Secret string
	// Addresses are told to stations as the brokers to call.
	Addresses []string
	// Shed may send a batch away that is not empty; nil takes all.
	Shed func(records int) error
	// EditReceipt may change a receipt before it is sent, to cheat.
	EditReceipt func(*taplinev1.StreamRecordsResponse)

	t        testing.TB
	ca       *authority
	evidence ed25519.PrivateKey
	siteKey  []byte

	mu        sync.Mutex // guards what follows
	tokens    map[string]*token
	stations  map[string]*Station
	nonces    map[string]string // nonce to station
	closed    []*taplinev1.CloseSessionRequest
	wrongPINs int
	beats     int
	reports   []*taplinev1.ReportRotationRequest
	results   []*taplinev1.CommandResult
}

type token struct {
	station string
	used    bool
}

// Station is what the broker knows of a station.
type Station struct {
	Identity    []byte // SPKI
	Join        uint64
	Revoked     bool
	Quarantined bool
	Approved    bool // may recover however long it was away
	Chain       record.ChainID
	Records     [][]byte // of the chain in force, in order

	head      record.Head
	statement []byte
	firstKey  record.PublicKey
	csr       []byte // of the last answer
	answer    *taplinev1.Identity
	serial    string // of the certificate in force
	previous  string // of the one before
	notAfter  time.Time
}

// New makes a broker whose certificates begin at now.
func New(t testing.TB, now func() time.Time) *Broker {
	t.Helper()
	_, evidence, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Broker{
		Now: now, t: t, ca: newAuthority(t, now()), evidence: evidence, siteKey: random(32),
		tokens: map[string]*token{}, stations: map[string]*Station{}, nonces: map[string]string{},
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// Token makes a one-use token for a station.
func (b *Broker) Token(station string, brokers ...string) wire.Token {
	secret := hex.EncodeToString(random(16))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens[secret] = &token{station: station}
	return wire.Token{Secret: secret, Station: station, Brokers: brokers, Root: wire.PinOf(b.ca.root), Expires: b.Now().Add(24 * time.Hour)}
}

// EvidenceKey is the public half of the key that signs receipts.
func (b *Broker) EvidenceKey() record.PublicKey { return record.PublicKeyOf(b.evidence) }

// Station gives a copy of what the broker knows of a station.
func (b *Broker) Station(name string) Station {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.stations[name]; s != nil {
		return *s
	}
	return Station{}
}

// Change lets a test, as the administrator, change a station.
func (b *Broker) Change(name string, f func(*Station)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(b.stations[name])
}

// LoseRecords makes the broker forget every record after the first n, as after a restored backup.
func (b *Broker) LoseRecords(name string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stations[name]
	var statement record.StationStatement
	e, err := record.ParseEnvelope(s.statement)
	if err == nil {
		err = record.OpenStatement(e, record.StationPayloadType, b.EvidenceKey(), &statement)
	}
	if err != nil {
		b.t.Error(err)
		return
	}
	s.Records = s.Records[:n:n]
	if s.head, _, err = record.CheckBatch(statement.Head(), s.Records, record.CheckAll); err != nil {
		b.t.Error(err)
	}
}

// Closed lists the ends of sessions that stations told.
func (b *Broker) Closed() []*taplinev1.CloseSessionRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*taplinev1.CloseSessionRequest(nil), b.closed...)
}

// Beats counts the signs of life.
func (b *Broker) Beats() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.beats
}

// Results lists the outcomes of commands.
func (b *Broker) Results() []*taplinev1.CommandResult {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*taplinev1.CommandResult(nil), b.results...)
}
