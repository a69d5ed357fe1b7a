package record

import "fmt"

// Verifier checks whole chains as an auditor does. First every station statement, then the receipts, then the records of each chain in
// order, then Finish. It keeps a few hundred bytes a chain and under a hundred an epoch, however many records there are. Once Station was called for
// all, different chains may be read by different goroutines.
type Verifier struct {
	trust  Trust
	chains []*ChainVerifier
	byID   map[ChainID]*ChainVerifier
	// ends has, by chain, where a later statement says that it ended.
	ends map[ChainID][]mark
}

// mark is what the record at a number must be.
type mark struct {
	seq  Seq
	hash Hash
	kind FaultKind // when it is another
	why  string
}

// NewVerifier trusts the keys of trust and nothing else.
func NewVerifier(trust Trust) *Verifier {
	return &Verifier{trust: trust, byID: map[ChainID]*ChainVerifier{}, ends: map[ChainID][]mark{}}
}

// Station takes up the chain that a station statement begins. The error is a *Fault.
func (v *Verifier) Station(statement Envelope) (*ChainVerifier, error) {
	s, err := v.trust.Station(statement)
	if err != nil {
		return nil, &Fault{Station: s.Station, Chain: s.Chain, Kind: FaultStatementForged, Detail: err.Error()}
	}
	if v.byID[s.Chain] != nil {
		return nil, &Fault{Station: s.Station, Chain: s.Chain, Kind: FaultChainTwice, Detail: "two statements for one chain"}
	}
	cv := &ChainVerifier{
		owner: v, statement: s, head: s.Head(),
		keys: map[string]PublicKey{s.FirstKey.ID(): s.FirstKey},
	}
	if p := s.Previous; p != nil && p.Seq > 0 {
		v.ends[p.Chain] = append(v.ends[p.Chain], mark{p.Seq, p.Hash, FaultChainEnd, "the statement of chain " + string(s.Chain)})
	}
	v.chains, v.byID[s.Chain] = append(v.chains, cv), cv
	return cv, nil
}

// Finish checks, once each chain was finished, that no chain is wanting: one that reaches back to its first record must come with the one that its
// statement says was before.
func (v *Verifier) Finish() *Fault {
	for _, cv := range v.chains {
		p := cv.statement.Previous
		if p == nil || p.Seq == 0 || cv.alone || v.byID[p.Chain] != nil {
			continue
		}
		return &Fault{
			Station: cv.statement.Station, Chain: p.Chain, Kind: FaultChainMissing,
			Detail: fmt.Sprintf("%d records went before chain %s", p.Seq, cv.statement.Chain),
		}
	}
	return nil
}

// ChainVerifier checks one chain, record by record. One goroutine uses it.
type ChainVerifier struct {
	owner     *Verifier
	statement StationStatement
	head      Head
	keys      map[string]PublicKey // of all epochs so far, by key ID
	sessions  sessions
	marks     []mark  // from receipts
	acked     Receipt // the latest
	records   uint64
	alone     bool
	trimmed   bool
	lead      bool // among records that only the latest receipt binds
	fault     *Fault
	suspect   Envelope // signed by a key that no epoch so far had
}

// Statement is the one that the chain began with.
func (cv *ChainVerifier) Statement() StationStatement { return cv.statement }

// Head is where the chain stands after the records that were found good.
func (cv *ChainVerifier) Head() Head { return cv.head }

// Records counts the records that were found good.
func (cv *ChainVerifier) Records() uint64 { return cv.records }

// Unreceipted counts the records at the end that no receipt covers: nobody but the station vouches that there were no more of them.
func (cv *ChainVerifier) Unreceipted() uint64 {
	return uint64(cv.head.Seq - min(cv.acked.Seq, cv.head.Seq))
}

// Alone says that the evidence is not meant to hold the chains before this one, as a station's own journal.
func (cv *ChainVerifier) Alone() { cv.alone = true }

// Trimmed says that the first records may be gone, as from the journal of a station that dropped what the broker had acknowledged. The chain may then
// begin with any record up to the one after the latest receipt. The records up to that receipt are bound by its hash; with the keys of their
// epochs gone, their own signatures are not checked. Call it before the first Add.
func (cv *ChainVerifier) Trimmed() { cv.trimmed, cv.alone = true, true }

// Receipt holds the chain to a receipt. Call it before the record that the receipt acknowledges is added.
func (cv *ChainVerifier) Receipt(receipt Envelope) *Fault {
	r, f := cv.receipt(receipt)
	if f != nil || r.Seq == 0 {
		return f
	}
	cv.marks = append(cv.marks, mark{r.Seq, r.Head, FaultForked, "the receipt"})
	if r.Seq > cv.acked.Seq {
		cv.acked = r
	}
	return nil
}

func (cv *ChainVerifier) receipt(e Envelope) (Receipt, *Fault) {
	r, err := cv.owner.trust.Receipt(e)
	switch {
	case err != nil:
		return r, cv.fail(&Fault{
			Station: cv.statement.Station, Chain: cv.statement.Chain, Kind: FaultReceiptForged, Detail: err.Error(),
		})
	case r.Station != cv.statement.Station || r.Chain != cv.statement.Chain:
		return r, cv.fail(&Fault{
			Station: cv.statement.Station, Chain: cv.statement.Chain, Kind: FaultReceiptForeign,
			Detail: fmt.Sprintf("a receipt for chain %s of %s", r.Chain, r.Station),
		})
	}
	return r, nil
}

// Add checks the next record. After a fault it gives that same fault for whatever comes, but goes on reading: it may yet find out whose key it was.
func (cv *ChainVerifier) Add(raw []byte) *Fault {
	if cv.fault != nil {
		cv.unmask(raw)
		return cv.fault
	}
	e, f := cv.head.read(raw)
	if f != nil {
		return cv.fail(f)
	}
	if cv.trimmed && cv.begins(e.Payload.Seq) || cv.lead {
		if f := cv.follow(e); f != nil {
			return cv.fail(f)
		}
		cv.records++
		return nil
	}
	if f := cv.check(e); f != nil {
		return cv.fail(f)
	}
	cv.head = cv.head.after(e.Envelope, e.Payload)
	cv.records++
	if s := e.Payload.Seal; s != nil {
		cv.keys[s.Next.ID()] = s.Next
	}
	return nil
}

// check has the order of SPEC.md, "What a verifier does": the first fault in it is the one that is named.
func (cv *ChainVerifier) check(e Entry) *Fault {
	h, p := cv.head, e.Payload
	if f := h.checkPlace(p); f != nil {
		return f
	}
	if f := h.checkSignature(e.Envelope); f != nil {
		return cv.whose(e.Envelope, f)
	}
	if f := h.checkEpoch(p); f != nil {
		return f
	}
	if p.Seal != nil && cv.keys[p.Seal.Next.ID()] == p.Seal.Next {
		return h.fault(FaultKeyReused, "the seal names key %s, which has signed before", p.Seal.Next.ID())
	}
	if kind, detail := cv.sessions.follow(p); kind != "" {
		return h.fault(kind, "%s", detail)
	}
	return cv.checkMarks(e.Envelope)
}

func (cv *ChainVerifier) checkMarks(e Envelope) *Fault {
	seq := cv.head.Seq + 1
	for _, marks := range [...][]mark{cv.marks, cv.owner.ends[cv.statement.Chain]} {
		for _, m := range marks {
			if m.seq != seq {
				continue
			}
			if hash := e.Hash(); hash != m.hash {
				return cv.head.fault(m.kind, "%s has hash %s here, the record %s", m.why, m.hash, hash)
			}
		}
	}
	return nil
}

// whose tells apart the keys that are not the epoch's.
func (cv *ChainVerifier) whose(e Envelope, f *Fault) *Fault {
	if f.Kind != FaultForeignKey {
		return f
	}
	if k, ok := cv.keys[e.KeyID()]; ok && e.Verify(k) {
		f.Kind = FaultEarlierKey
		f.Detail = fmt.Sprintf("signed with key %s of an epoch that was sealed, not of epoch %d", e.KeyID(), cv.head.Epoch)
		return f
	}
	cv.suspect = e
	return f
}

// unmask looks, after a fault, for a seal that names the key of the suspect.
func (cv *ChainVerifier) unmask(raw []byte) {
	if cv.suspect.IsZero() {
		return
	}
	e, err := ReadEntry(raw)
	if err != nil || e.Payload.Seal == nil {
		return
	}
	next := e.Payload.Seal.Next
	if next.ID() == cv.suspect.KeyID() && cv.suspect.Verify(next) {
		later := *cv.fault
		later.Kind = FaultLaterKey
		later.Detail = fmt.Sprintf("signed with key %s, which record %d names for a later epoch", next.ID(), e.Payload.Seq)
		cv.fault, cv.suspect = &later, Envelope{}
	}
}

// Torn says that the next record could not be read whole.
func (cv *ChainVerifier) Torn(detail string) *Fault {
	return cv.fail(cv.head.fault(FaultTorn, "%s", detail))
}

// Finish says that there are no more records, and gives the first fault of the chain, nil if it has none.
func (cv *ChainVerifier) Finish() *Fault {
	if cv.fault != nil {
		return cv.fault
	}
	if cv.head.Seq < cv.acked.Seq {
		return cv.fail(cv.head.fault(FaultTruncated, "the broker acknowledged record %d", cv.acked.Seq))
	}
	for _, m := range cv.owner.ends[cv.statement.Chain] {
		if cv.head.Seq < m.seq {
			return cv.fail(cv.head.fault(m.kind, "%s says that it ended at record %d", m.why, m.seq))
		}
	}
	return nil
}

// fail keeps the first fault.
func (cv *ChainVerifier) fail(f *Fault) *Fault {
	if cv.fault == nil {
		cv.fault = f
	}
	return cv.fault
}
