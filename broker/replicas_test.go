package broker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tapline/broker/identity"
	"tapline/broker/store"
	"tapline/broker/store/postgrestest"
	"tapline/broker/vault"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// onPostgres are the tests, by the first part of their names, whose plants keep their store on a server.
var onPostgres sync.Map

// storeOf is the address of the store for a plant of a test: empty for SQLite, else a database of its own.
func storeOf(t testing.TB) string {
	t.Helper()
	root, _, _ := strings.Cut(t.Name(), "/")
	server, ok := onPostgres.Load(root)
	if !ok {
		return ""
	}
	return server.(*postgrestest.Server).NewDatabase(t)
}

// withPostgres makes the plants of a test keep their store on a PostgreSQL server.
func withPostgres(t *testing.T, settings ...string) *postgrestest.Server {
	t.Helper()
	server := postgrestest.Start(t, settings...)
	server.Prepare(t, func(url string) error {
		s, err := store.OpenPostgres(t.Context(), store.Postgres{URL: url})
		if err != nil {
			return err
		}
		return errors.Join(s.Migrate(t.Context()), s.Close())
	})
	onPostgres.Store(t.Name(), server)
	t.Cleanup(func() { onPostgres.Delete(t.Name()) })
	return server
}

// TestThePlantOnPostgres is a choice of the tests of a whole broker, on the other engine.
func TestThePlantOnPostgres(t *testing.T) {
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	withPostgres(t)
	for name, test := range map[string]func(*testing.T){
		"a token is redeemed once":          TestATokenIsRedeemedOnceHoweverManyTryAtOnce,
		"a replayed tap":                    TestAReplayedTapGetsTheSameAnswerAndNoSecondLease,
		"an exclusive account":              TestAnExclusiveAccountIsHeldByOneStation,
		"an unknown badge":                  TestAnUnknownBadgeIsEnrolledByItsCode,
		"a bad signature":                   TestABadSignatureInsideAGoodChainIsFoundAndKept,
		"a copy of a station":               TestACopyOfAStationIsFoundAndTheAdministratorPicksTheLiveOne,
		"a station away for months":         TestAStationThatWasAwayForMonthsRecoversByItsIdentityKey,
		"a restart":                         TestARestartKeepsEverything,
		"who was there":                     TestNobodyIsSurelyThereOnceTheAgentIsDead,
		"a policy set that is wrong":        TestAPolicySetThatIsWrongIsNotPutInForce,
		"a revoked badge":                   TestARevokedBadgeAndASuspendedPersonAreRefused,
		"records that do not fit":           TestRecordsThatDoNotFitAreRefusedAndRaiseAnAlarm,
		"a beat that knows less":            TestABeatThatKnowsLessThanTheBrokerRaisesAnAlarm,
		"the conditions name the standby":   standbyCondition,
		"the status does not name the user": statusHidesUser,
	} {
		t.Run(name, test)
	}
}

func standbyCondition(t *testing.T) {
	p := newPlant(t)
	h, err := p.admin.GetHealth(t.Context(), &taplinev1.GetHealthRequest{})
	p.must(err)
	if all := strings.Join(h.GetConditions(), "\n"); !strings.Contains(all, "no synchronous standby") {
		t.Errorf("conditions: %s", all)
	}
}

func statusHidesUser(t *testing.T) {
	p := newPlant(t)
	h, err := p.admin.GetHealth(t.Context(), &taplinev1.GetHealthRequest{})
	p.must(err)
	if !strings.HasPrefix(h.GetStore(), "postgres 127.0.0.1:") || strings.Contains(h.GetStore(), "@") {
		t.Errorf("store: %s", h.GetStore())
	}
}

// replica starts a second broker on the same store, with a copy of the first one's master key.
func (p *plant) replica() *plant {
	p.t.Helper()
	q := &plant{t: p.t, clock: p.clock, cfg: p.cfg}
	q.cfg.Data, q.cfg.Listen, q.cfg.Brokers = p.t.TempDir(), freeAddress(p.t), nil
	key, err := os.ReadFile(filepath.Join(p.cfg.Data, vault.KeyFile))
	p.must(err)
	p.must(os.WriteFile(filepath.Join(q.cfg.Data, vault.KeyFile), key, 0o600))
	p.must(q.cfg.fill())
	q.start()
	return q
}

// at is the station on the line of another broker.
func (s *hmi) movedTo(q *plant) *hmi {
	other := *s
	other.plant = q
	other.connect()
	return &other
}

// TestTwoBrokersOnOneStore plays a day of a plant whose stations, administrators and auditors call now this broker, now that.
func TestTwoBrokersOnOneStore(t *testing.T) {
	withPostgres(t)
	a := newPlant(t)
	b := a.replica()
	a.staff()
	b.hire("p-2", "Ben C.", ben())
	_, err := b.admin.PutAccount(t.Context(), &taplinev1.PutAccountRequest{Account: &taplinev1.Account{Id: account, Driver: "manual", Capacity: 1, Stations: []string{"plant/"}}})
	a.must(err)

	// A token that one broker made is redeemed at the other, and not again at the first.
	token := a.token(press)
	keys := newKeys(t)
	_, err = b.stranger(token.Root).Enrol(t.Context(), keys.request(t, token, press))
	a.must(err)
	_, err = a.stranger(token.Root).Enrol(t.Context(), newKeys(t).request(t, token, press))
	refused(t, err, wire.Unauthenticated, "token")

	anna1, ben1 := a.enrol(press), b.enrol(packing)
	t.Run("an account that is held through one is refused by the other", func(*testing.T) { exclusive(anna1, ben1) })
	t.Run("records go to either, and a watcher at either sees them", func(*testing.T) { eitherIngests(a, b, anna1) })
	t.Run("a certificate is renewed at either, and a nonce of one is good at the other", func(*testing.T) { eitherRenews(a, b, ben1) })
	t.Run("what is revoked at one is cut at the other within five seconds", func(*testing.T) { cutElsewhere(a, b, anna1) })
	t.Run("the acts of both are one chain", func(*testing.T) { b.verify(b.export(), 11) })
	t.Run("a root that was retired through one is retired at the other within seconds", func(*testing.T) { retiredElsewhere(a, b) })
}

// retiredElsewhere changes the root at one broker. The other one's housekeeping is minutes away.
func retiredElsewhere(a, b *plant) {
	old := b.run.authority.Pin()
	for _, step := range []string{identity.StepInit, identity.StepIssue, identity.StepRetire} {
		_, err := a.admin.RotateAuthority(a.t.Context(), &taplinev1.RotateAuthorityRequest{Step: step, Force: true})
		a.must(err)
	}
	begun := time.Now()
	b.until("the other broker has the new root, and it alone", func() bool {
		return b.run.authority.Pin() != old && len(b.run.authority.RootCertificates()) == 1
	})
	if took := time.Since(begun); took > 5*time.Second {
		a.t.Errorf("that took %s", took)
	}
	if got, want := b.run.authority.Mark(), a.run.authority.Mark(); got != want {
		a.t.Errorf("the other broker issues under %s, the first under %s", got, want)
	}
}

func exclusive(here, there *hmi) {
	here.t.Helper()
	mine := tap(anna())
	first := here.open(mine)
	if !first.GetDecision().GetAllowed() {
		here.t.Fatalf("got %v", first)
	}
	if r := there.open(tap(ben())); r.GetDecision().GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_LEASE_HELD {
		here.t.Errorf("the other broker said %v", r)
	}
	// The same tap again, at the other broker, because the answer of the first was lost.
	again := here.movedTo(there.plant).open(mine)
	if again.GetLease().GetFence() != first.GetLease().GetFence() {
		here.t.Errorf("fence %d, want the %d of the first answer", again.GetLease().GetFence(), first.GetLease().GetFence())
	}
	_, err := here.movedTo(there.plant).client.CloseSession(here.t.Context(), &taplinev1.CloseSessionRequest{
		Session: mine.GetSession(), Fence: first.GetLease().GetFence(), Cause: taplinev1.EndCause_END_CAUSE_TAP_OUT,
	})
	here.must(err)
	if r := there.open(tap(ben())); !r.GetDecision().GetAllowed() || r.GetLease().GetFence() <= first.GetLease().GetFence() {
		here.t.Errorf("after the lease was given back: %v", r)
	}
}

func eitherIngests(a, b *plant, s *hmi) {
	watch, err := b.audit.WatchRecords(a.t.Context(), &taplinev1.WatchRecordsRequest{Filter: &taplinev1.RecordFilter{Stations: []string{press}}})
	a.must(err)
	if r, err := s.send(1, s.write(5)); err != nil || r.Seq != 5 {
		a.t.Fatalf("at the first: %v, %v", r.Seq, err)
	}
	if r, err := s.movedTo(b).send(6, s.write(5)); err != nil || r.Seq != 10 {
		a.t.Fatalf("at the second: %v, %v", r.Seq, err)
	}
	if r, err := s.send(11, s.write(1)); err != nil || r.Seq != 11 {
		a.t.Fatalf("at the first again: %v, %v", r.Seq, err)
	}
	for range 11 {
		_, err := watch.Recv()
		a.must(err)
	}
}

func eitherRenews(a, b *plant, s *hmi) {
	s = s.movedTo(a)
	s.renew()
	s = s.movedTo(b)
	s.renew()
	nonce := s.movedTo(a).challenge()
	id, err := s.recover(s.keys.identity, nonce)
	a.must(err)
	s.identity = id
	s.connect()
	s.open(tap(ben()))
	_, err = s.movedTo(a).recover(s.keys.identity, nonce)
	refused(a.t.(*testing.T), err, wire.Unauthenticated, "nonce")
}

func cutElsewhere(a, b *plant, s *hmi) {
	s = s.movedTo(b)
	ctx, cancel := context.WithTimeout(a.t.Context(), 20*time.Second)
	defer cancel()
	stream, err := s.client.StreamCommands(ctx)
	a.must(err)
	a.must(stream.Send(&taplinev1.StreamCommandsRequest{What: &taplinev1.StreamCommandsRequest_Beat{Beat: &taplinev1.StationBeat{
		Chain: s.keys.chain, Seq: 11, Head: append([]byte{}, headOf(s)...),
	}}}))
	_, err = stream.Recv()
	a.must(err)
	a.until("the other broker knows that the station is on the line", func() bool {
		got, err := a.admin.ListStations(a.t.Context(), &taplinev1.ListStationsRequest{Query: press})
		a.must(err)
		return len(got.GetStations()) == 1 && got.GetStations()[0].GetConnected()
	})
	begun := time.Now()
	_, err = a.admin.RevokeStation(a.t.Context(), &taplinev1.RevokeStationRequest{Id: press, Reason: "stolen"})
	a.must(err)
	for err == nil {
		_, err = stream.Recv()
	}
	refused(a.t.(*testing.T), err, wire.Denied, "revoked")
	took := time.Since(begun)
	a.t.Logf("cut at the other broker after %s", took.Round(time.Millisecond))
	if took > 5*time.Second {
		a.t.Errorf("that took %s", took)
	}
}

func headOf(s *hmi) []byte {
	h := s.chain.Head().Hash
	return h[:]
}
