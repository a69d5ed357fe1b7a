package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/grant"
	"tapline/proto/record"
	"tapline/proto/vouch"
	"tapline/proto/wire"
)

// Lifetimes of tokens and absences.
const (
	TokenLife    = 24 * time.Hour
	MaxTokenLife = 7 * 24 * time.Hour
	// MaxAway is how long after its certificate's end a station recovers without an administrator.
	MaxAway = 180 * 24 * time.Hour
	// ApprovedFor is how long an administrator's approval to recover is good.
	ApprovedFor = 7 * 24 * time.Hour
	// repeatFor is how long an enrolment is answered again to the same request.
	repeatFor = 24 * time.Hour
)

// Registrar gives stations their identities.
type Registrar struct {
	Store     *store.Store
	Vault     *vault.Vault
	Authority *Authority
	Evidence  *Evidence
	SiteKey   []byte
	// Brokers are the addresses that stations are told to call.
	Brokers func() []string
	Now     func() time.Time
	// Forget is called after a station's registry entry changed.
	Forget func(record.StationID)
}

// NewToken makes a one-use token for a station inside an update. The secret is in the result and nowhere else.
func (r *Registrar) NewToken(tx *store.Tx, station record.StationID, life time.Duration, by string) (store.Token, wire.Token, error) {
	raw := make([]byte, 24)
	_, _ = rand.Read(raw)
	plain := base64.RawURLEncoding.EncodeToString(raw)
	id, err := uuid.NewV7()
	if err != nil {
		return store.Token{}, wire.Token{}, fmt.Errorf("name token: %w", err)
	}
	now := r.Now()
	t := store.Token{
		ID: id.String(), Hash: hashToken(plain), Station: station, MadeAt: now, MadeBy: by, ExpiresAt: now.Add(life),
	}
	out := wire.Token{
		Secret: plain, Station: string(station), Brokers: r.Brokers(), Root: r.Authority.Pin(), Expires: t.ExpiresAt.UTC().Truncate(time.Second),
	}
	return t, out, tx.AddToken(t)
}

// hashToken needs no salt and no slowness: a token is 192 random bits.
func hashToken(plain string) []byte {
	sum := sha256.Sum256([]byte("tapline token v1\x00" + plain))
	return sum[:]
}

// issueTo makes a station's next certificate, stores it, and gives the identity that goes out with it. sequence is the certificate's.
func (r *Registrar) issueTo(tx *store.Tx, s store.Station, chain record.ChainID, key any, sequence uint64, statement []byte) (
	*taplinev1.Identity, store.Certificate, error,
) {
	subject := wire.Subject{Site: r.Authority.Site(), Role: wire.RoleStation, Name: string(s.ID())}
	got, cert, err := r.Authority.client(subject, key, StationLife, sequence)
	if err != nil {
		return nil, cert, err
	}
	if err := tx.AddCertificate(cert); err != nil {
		return nil, cert, err
	}
	badgeKey, err := grant.StationKey(r.SiteKey, s.ID())
	if err != nil {
		return nil, cert, err
	}
	now := r.Now()
	join, err := vouch.NewJoin(r.Evidence, vouch.Join{Station: s.ID(), Chain: chain, Sequence: sequence, Serial: cert.Serial, At: now})
	if err != nil {
		return nil, cert, err
	}
	trust, err := r.Trust()
	if err != nil {
		return nil, cert, err
	}
	evidence := r.Evidence.Public()
	return &taplinev1.Identity{
		Certificates:     got.chain(),
		Roots:            got.roots,
		JoinSequence:     sequence,
		StationStatement: statement,
		EvidenceKey:      evidence[:],
		Brokers:          r.Brokers(),
		RenewAt:          timestamppb.New(now.Add(cert.NotAfter.Sub(now) / 2)),
		BadgeKey:         badgeKey,
		Trust:            trust.GetStatement(),
		Join:             join,
	}, cert, nil
}

// keep seals an identity, so that it can be given again.
func (r *Registrar) keep(station record.StationID, id *taplinev1.Identity) ([]byte, error) {
	b, err := proto.Marshal(id)
	if err != nil {
		return nil, fmt.Errorf("encode identity: %w", err)
	}
	return r.Vault.Seal("identity of "+string(station), b), nil
}

// again opens an identity that keep sealed.
func (r *Registrar) again(station record.StationID, sealed []byte) (*taplinev1.Identity, error) {
	b, err := r.Vault.Open("identity of "+string(station), sealed)
	if err != nil {
		return nil, err
	}
	id := &taplinev1.Identity{}
	if err := proto.Unmarshal(b, id); err != nil {
		return nil, fmt.Errorf("decode identity: %w", err)
	}
	return id, nil
}

// statementOf reads the statement of the chain that a station writes.
func statementOf(tx *store.Tx, s store.Station) ([]byte, error) {
	c, err := tx.Chain(s.Chain)
	return c.Statement, err
}

// knownStation reads a station for a caller who may know that it is not there.
func knownStation(tx *store.Tx, id record.StationID) (store.Station, error) {
	s, err := tx.Station(id)
	if errors.Is(err, store.ErrNotFound) {
		return s, wire.E(wire.Unauthenticated, "station %s is not known", id)
	}
	return s, err
}
