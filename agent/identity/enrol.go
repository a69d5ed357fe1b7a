package identity

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/google/uuid"

	"tapline/agent/keystore"
	"tapline/agent/statefile"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// Enrol trades the token for an identity and keeps it in dir and ks. The first record key is in ks under RecordKeyName(1) when it returns. It
// may be repeated after a crash or an error at any step, with the same token or a new one for the same station: it then sends what it sent
// before. The error matches ErrEnrolled or wire.ErrWrongRoot, or has the kind of the broker's refusal.
func Enrol(ctx context.Context, dir string, ks keystore.Store, token wire.Token, o Options) (*Manager, error) {
	e := enrolment{dir: dir, ks: ks, token: token, o: o.withDefaults()}
	if err := e.run(ctx); err != nil {
		return nil, fmt.Errorf("enrol %s: %w", token.Station, err)
	}
	return Load(dir, ks, o)
}

type enrolment struct {
	dir   string
	ks    keystore.Store
	token wire.Token
	o     Options
	had   state // the identity that is replaced; zero for none
}

func (e *enrolment) run(ctx context.Context) error {
	if _, err := statefile.Folder(e.dir); err != nil {
		return err
	}
	if err := statefile.Sweep(e.dir); err != nil {
		return err
	}
	had, enrolled, err := readState(e.dir)
	if err != nil {
		return err
	}
	e.had = had
	if enrolled {
		if had.Token == e.tokenHash() {
			return finishEnrolment(e.dir, e.ks, e.o, had)
		}
		if !e.o.Replace {
			return fmt.Errorf("%w, as %s", ErrEnrolled, had.Station)
		}
	}
	p, err := e.prepare()
	if err != nil {
		return fmt.Errorf("prepare request: %w", err)
	}
	return e.send(ctx, p)
}

// tokenHash is what is kept of the token.
func (e *enrolment) tokenHash() record.Hash { return record.HashOf([]byte(e.token.Secret)) }

// prepare makes the keys and writes the request down, or finds the one that was written before.
func (e *enrolment) prepare() (pending, error) {
	p, ok, err := readPending(e.dir)
	if err != nil {
		return pending{}, err
	}
	if ok && p.Chain != "" && p.Station == record.StationID(e.token.Station) && p.Chain != e.had.Chain {
		return p, nil
	}
	p = pending{
		V: stateV, Station: record.StationID(e.token.Station), Chain: record.ChainID(uuid.NewString()),
		IdentityKey: otherSlot(identitySlot, e.had.IdentityKey), TLSKey: otherSlot(tlsSlot, e.had.TLSKey), RecordKey: pendingRecord,
	}
	if _, err := newIdentityKey(e.ks, p.IdentityKey, e.o.P256); err != nil {
		return pending{}, err
	}
	if err := newRecordKey(e.ks, p.RecordKey); err != nil {
		return pending{}, err
	}
	if p.CSR, err = newRequest(e.ks, p.TLSKey, p.Station); err != nil {
		return pending{}, err
	}
	return p, writeJSON(e.o.Disk, filepath.Join(e.dir, pendingFile), p)
}

// send makes the request and takes over the answer.
func (e *enrolment) send(ctx context.Context, p pending) error {
	want, req, err := e.request(p)
	if err != nil {
		return err
	}
	clock, err := openClock(e.o, e.dir)
	if err != nil {
		return err
	}
	want.now = clock.Now()
	var answer *taplinev1.EnrolResponse
	err = e.o.ask(ctx, e.token.Brokers, func() *tls.Config { return wire.PinnedTLS(e.token.Root, clock.Now) }, func(ctx context.Context, r Registrar) error {
		answer, err = r.Enrol(ctx, req)
		return err
	})
	if err != nil {
		return err
	}
	s, badge, err := want.accept(answer.GetIdentity(), state{Root: e.token.Root, Brokers: e.token.Brokers})
	if err != nil {
		return fmt.Errorf("the broker's answer: %w", err)
	}
	s.Token, s.IdentityKey, s.TLSKey, s.BadgeKey = e.tokenHash(), p.IdentityKey, p.TLSKey, otherSlot(badgeSlot, e.had.BadgeKey)
	return e.commit(s, p, badge)
}

// request is what goes to the broker, and what must come back.
func (e *enrolment) request(p pending) (expected, *taplinev1.EnrolRequest, error) {
	identity, err1 := getKey(e.ks, p.IdentityKey)
	tlsKey, err2 := getKey(e.ks, p.TLSKey)
	first, err3 := getRecordKey(e.ks, p.RecordKey)
	if err := errors.Join(err1, err2, err3); err != nil {
		return expected{}, nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(identity.Public())
	if err != nil {
		return expected{}, nil, err
	}
	firstKey := record.PublicKeyOf(first)
	proof, err := e.prove(identity, p, firstKey)
	if err != nil {
		return expected{}, nil, err
	}
	want := expected{station: p.Station, chain: p.Chain, tlsKey: tlsKey.Public(), identity: spki, firstKey: firstKey, pin: e.token.Root}
	return want, &taplinev1.EnrolRequest{
		Token: e.token.Secret, Station: e.token.Station, Csr: p.CSR, IdentityKey: spki, RecordKey: firstKey[:],
		Chain: string(p.Chain), Proof: proof, Hints: e.o.Hints, Build: e.o.Build,
	}, nil
}

func (e *enrolment) prove(identity crypto.Signer, p pending, first record.PublicKey) ([]byte, error) {
	return signDigest(identity, wire.EnrolDigest(e.token.Secret, e.token.Station, p.CSR, first[:], string(p.Chain)))
}

// commit makes the answer the station's identity. The broker has ended the earlier chain by now, so the first record key may go over an
// earlier one's.
func (e *enrolment) commit(s state, p pending, badge Secret) error {
	first, err := e.ks.Get(p.RecordKey)
	if err != nil {
		return err
	}
	if err := e.ks.Put(RecordKeyName(1), first); err != nil {
		return err
	}
	if err := e.ks.Put(s.BadgeKey, badge); err != nil {
		return err
	}
	if err := writeJSON(e.o.Disk, filepath.Join(e.dir, stateFile), s); err != nil {
		return err
	}
	return finishEnrolment(e.dir, e.ks, e.o, s)
}

// finishEnrolment removes what only the request needed. It may be repeated.
func finishEnrolment(dir string, ks keystore.Store, o Options, s state) error {
	p, ok, err := readPending(dir)
	if err != nil || !ok || p.Chain != s.Chain {
		return err
	}
	for _, name := range []string{
		pendingRecord, otherSlot(identitySlot, s.IdentityKey), otherSlot(tlsSlot, s.TLSKey), otherSlot(badgeSlot, s.BadgeKey),
	} {
		if err := ks.Delete(name); err != nil {
			return err
		}
	}
	return statefile.Remove(o.Disk, filepath.Join(dir, pendingFile))
}
