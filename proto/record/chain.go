package record

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"
)

// Errors of a Chain that its owner handles.
var (
	// ErrSealDue says that the epoch is past its last limit: Seal, then try again.
	ErrSealDue = errors.New("the epoch must be sealed first")
	// ErrWrongKey says that the private key is not the one of the epoch.
	ErrWrongKey = errors.New("not the key of this epoch")
	// ErrNotNext says that the envelope is not the one that the chain signed last.
	ErrNotNext = errors.New("not the record that was signed last")
)

// Chain is the writer's side of a chain. One goroutine owns it. A record is signed with Next, stored, and only then taken over with
// Commit: a record that could not be stored leaves no trace, and the next call of Next takes its place.
type Chain struct {
	head    Head
	pending *Head // after the record that was signed last; nil when that was committed
}

// NewChain is the chain before its first record.
func NewChain(statement StationStatement) *Chain {
	return &Chain{head: statement.Head()}
}

// ResumeChain goes on after head, which the caller found with Head.Advance over its stored records, from StationStatement.Head or, when the first
// of them are gone, from Receipt.Resume.
func ResumeChain(statement StationStatement, head Head) (*Chain, error) {
	if head.Station != statement.Station || head.Chain != statement.Chain {
		return nil, fmt.Errorf("resume chain %s of %s: the records are of chain %s of %s",
			statement.Chain, statement.Station, head.Chain, head.Station)
	}
	if head.Epoch == 0 || head.EpochKey.IsZero() {
		return nil, fmt.Errorf("resume chain %s: no epoch", statement.Chain)
	}
	return &Chain{head: head}, nil
}

// Head is where the chain stands, counting committed records only.
func (c *Chain) Head() Head { return c.head }

// SealDue reports whether the epoch has lasted its 24 h, by either side of the clock, or has room for just the seal. Ask it before each record,
// and on a timer: epochs without records are sealed too.
func (c *Chain) SealDue(now time.Time) bool {
	return now.Sub(c.head.EpochBegan).Abs() >= SealAfter || c.head.EpochRecords+1 >= SealRecords
}

// Next signs p as the next record: it fills in version, station, chain, epoch, seq and prev. Times are written in UTC; monotonic time that lies
// before the last record's is raised to it, because the order of a chain is the order of writing.
func (c *Chain) Next(p Payload, key ed25519.PrivateKey) (Envelope, error) {
	if p.Type == EpochSealed || p.Seal != nil {
		return Envelope{}, errors.New("sign record: a seal is made with Seal")
	}
	return c.sign(p, key)
}

// Seal signs the record that ends the epoch and names the next key. p gives time and mode; old is the key of the epoch that ends. Once the
// record is stored and committed, the owner destroys old.
func (c *Chain) Seal(p Payload, old ed25519.PrivateKey, next PublicKey) (Envelope, error) {
	p.Type = EpochSealed
	p.Seal = &Seal{Records: c.head.EpochRecords + 1, Next: next}
	return c.sign(p, old)
}

// Commit takes over e, the record that was signed last, once it is durable.
func (c *Chain) Commit(e Envelope) error {
	if c.pending == nil || c.pending.Hash != e.Hash() {
		return fmt.Errorf("commit record: %w", ErrNotNext)
	}
	c.head, c.pending = *c.pending, nil
	return nil
}

func (c *Chain) sign(p Payload, key ed25519.PrivateKey) (Envelope, error) {
	c.pending = nil
	if len(key) != ed25519.PrivateKeySize || PublicKeyOf(key) != c.head.EpochKey {
		return Envelope{}, fmt.Errorf("sign record %d: %w", c.head.Seq+1, ErrWrongKey)
	}
	c.fill(&p)
	if f := c.head.checkEpoch(p); f != nil {
		if f.Kind == FaultEpochOverfull || f.Kind == FaultEpochOverdue {
			return Envelope{}, fmt.Errorf("sign record %d: %w: %s", p.Seq, ErrSealDue, f.Detail)
		}
		return Envelope{}, fmt.Errorf("sign record %d: %w", p.Seq, f)
	}
	e, err := SignPayload(p, key)
	if err != nil {
		return Envelope{}, err
	}
	after := c.head.after(e, p)
	c.pending = &after
	return e, nil
}

func (c *Chain) fill(p *Payload) {
	p.Version, p.Station, p.Chain = Version, c.head.Station, c.head.Chain
	p.Epoch, p.Seq, p.Prev = c.head.Epoch, c.head.Seq+1, c.head.Hash
	p.Time.Wall = utc(p.Time.Wall)
	if p.Time.Anchor != nil {
		anchor := *p.Time.Anchor
		anchor.Broker = utc(anchor.Broker)
		p.Time.Anchor = &anchor
	}
	if a := p.alive(); a != nil {
		start, alive := *p.Start, *a
		alive.Wall = utc(alive.Wall)
		start.Alive = &alive
		p.Start = &start
	}
	if p.Time.Boot == c.head.Boot {
		p.Time.Monotonic = max(p.Time.Monotonic, c.head.Monotonic)
	}
}
