package secret

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"tapline/broker/store"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

var errCrash = errors.New("crash")

// TestAChangeSurvivesACrashAtEachStep ends the broker at each update of the store, not done and done, and around the directory's Set, and lets another one go
// on: at each point the secret that the broker would hand out or the one that it is about to put in force opens the account, and in the end the current
// one does, and the old one does not.
func TestAChangeSurvivesACrashAtEachStep(t *testing.T) {
	for _, done := range []bool{false, true} {
		for step := 1; ; step++ {
			p, crashed := newPlant(t), false
			p.set("svc", "", canary)
			l := p.open(press, "s-1", "svc")
			if _, err := p.fetch(l); err != nil {
				t.Fatal(err)
			}
			p.end(l)
			left, real := step, p.k.update
			p.k.update = func(ctx context.Context, do func(*store.Tx) error) error {
				left--
				switch {
				case left > 0:
					return real(ctx, do)
				case left == 0 && done:
					if err := real(ctx, do); err != nil {
						return err
					}
				}
				crashed = true
				return errCrash
			}
			_ = p.look(3 * lookEvery)
			p.goOn(fmt.Sprintf("update %d, done %v", step, done))
			if !crashed {
				break
			}
		}
	}
	for row, fail := range map[string]func(*system){
		"before the directory set it": func(d *system) { d.before = func() error { return errCrash } },
		"after the directory set it":  func(d *system) { d.after = func() error { return errCrash } },
		"the directory went away after it set it": func(d *system) {
			d.after = func() error { d.away = true; return errCrash }
		},
		"the directory was away": func(d *system) { d.away = true },
	} {
		p := newPlant(t)
		p.set("svc", "", canary)
		l := p.open(press, "s-1", "svc")
		if _, err := p.fetch(l); err != nil {
			t.Fatal(err)
		}
		p.end(l)
		fail(p.directory)
		_ = p.look(3 * lookEvery)
		p.goOn(row)
	}
}

// goOn lets a new broker end what another one left.
func (p *plant) goOn(row string) {
	p.t.Helper()
	p.check(row + ", at once")
	p.directory.before, p.directory.after, p.directory.away = nil, nil, false
	p.k = p.keeper()
	p.must(p.look(10 * time.Minute))
	s := p.status("svc")
	if s.GetState() != stateCurrent || s.GetVersion() != 2 || p.directory.passwords["svc"] == canary {
		p.t.Errorf("%s: in the end %v", row, s)
	}
	if got, err := p.fetch(p.open(press, "s-9", "svc")); err != nil || got != p.directory.passwords["svc"] {
		p.t.Errorf("%s: handed out in the end: %q, %v", row, got, err)
	}
	if p.directory.sets > 2 {
		p.t.Errorf("%s: set %d times", row, p.directory.sets)
	}
	types, _ := p.records()
	if n := len(slices.DeleteFunc(types, func(t record.Type) bool { return t != record.SecretRotated })); n != 2 { // set by hand, changed
		p.t.Errorf("%s: %d records of changes", row, n)
	}
	p.now = p.now.Add(2 * time.Hour)
	p.must(p.look(lookEvery))
	p.must(p.store.View(p.t.Context(), func(tx *store.Tx) error {
		if _, err := tx.AccountSecret(store.Slot{Account: "svc"}, store.SecretPrevious); !errors.Is(err, store.ErrNotFound) {
			p.t.Errorf("%s: the old secret is kept after its window: %v", row, err)
		}
		return nil
	}))
}

// check holds that one of the two secrets that are kept opens the account.
func (p *plant) check(row string) {
	p.t.Helper()
	opens := false
	for _, state := range []store.SecretState{store.SecretCurrent, store.SecretPending} {
		s, err := p.k.stored(p.t.Context(), store.Slot{Account: "svc"}, state)
		opens = opens || err == nil && string(s) == p.directory.passwords["svc"]
	}
	if !opens {
		p.t.Errorf("%s: no secret that is kept opens the account", row)
	}
}

func TestTwoBrokersMakeOneChange(t *testing.T) {
	p := newPlant(t)
	p.set("svc", "", canary)
	p.do(func(tx *store.Tx) error { _, err := p.k.Want(tx, "svc", "", false); return err })
	other := p.keeper()
	// The other one takes its turn in the middle of the first one's, after its claim has run out: the first one has become stale.
	p.directory.after = func() error {
		p.directory.after = nil
		p.directory.mu.Unlock()
		defer p.directory.mu.Lock()
		p.now = p.now.Add(claimFor + time.Second)
		p.must(other.Look(t.Context()))
		return nil
	}
	if err := p.k.Look(t.Context()); !errors.Is(err, store.ErrTaken) {
		t.Errorf("the stale one: %v, want ErrTaken", err)
	}
	if s := p.status("svc"); s.GetState() != stateCurrent || s.GetVersion() != 2 {
		t.Errorf("status %v", s)
	}
	if got, err := p.fetch(p.open(press, "s-1", "svc")); err != nil || got != p.directory.passwords["svc"] {
		t.Errorf("%q, %v", got, err)
	}
}

func TestASecretIsChangedAfterItsLastUse(t *testing.T) {
	p := newPlant(t)
	p.set("svc", "", canary)
	first, second := p.open(press, "s-1", "svc"), p.open(packing, "s-2", "svc")
	if _, err := p.fetch(first); err != nil {
		t.Fatal(err)
	}
	p.end(first)
	p.must(p.look(time.Minute))
	if s := p.status("svc"); s.GetVersion() != 1 {
		t.Errorf("changed while another station holds the account: %v", s)
	}
	if got, err := p.fetch(second); err != nil || got != canary {
		t.Errorf("%q, %v", got, err)
	}
	p.end(second)
	p.must(p.look(time.Minute))
	if s := p.status("svc"); s.GetVersion() != 2 || s.GetOldUntil() == nil || s.GetReleasedAt() != nil {
		t.Errorf("after the last: %v", s)
	}
	p.must(p.look(time.Hour))
	if s := p.status("svc"); s.GetVersion() != 2 {
		t.Errorf("changed again without having been handed out: %v", s)
	}
}

func TestARevokedStationChangesWhatItWasHanded(t *testing.T) {
	p := newPlant(t)
	p.set("svc", "", canary)
	gone := p.open(packing, "s-1", "svc")
	if _, err := p.fetch(gone); err != nil {
		t.Fatal(err)
	}
	p.open(press, "s-2", "svc") // somebody works on elsewhere
	p.do(func(tx *store.Tx) error {
		return tx.SetStationState(packing, taplinev1.StationState_STATION_STATE_REVOKED, "stolen")
	})
	p.must(p.look(time.Minute))
	if s := p.status("svc"); s.GetVersion() != 2 {
		t.Errorf("status %v", s)
	}
}

func TestASecretIsChangedWhenItIsOld(t *testing.T) {
	p := newPlant(t)
	p.do(func(tx *store.Tx) error {
		_, err := tx.PutAccount(&taplinev1.Account{Id: "svc", Driver: "ldap", RotateAfter: durationpb.New(30 * 24 * time.Hour)})
		return err
	})
	p.set("svc", "", canary)
	set := p.now
	p.now = set.Add(30*24*time.Hour - time.Minute)
	p.must(p.look(30 * time.Second))
	if s := p.status("svc"); s.GetVersion() != 1 || s.GetCause() != "" {
		t.Errorf("changed before its time: %v", s)
	}
	p.now = set.Add(30 * 24 * time.Hour)
	l := p.open(press, "s-1", "svc")
	p.must(p.look(time.Minute))
	if s := p.status("svc"); s.GetVersion() != 1 || s.GetCause() != causeAge || s.GetReason() != saidHeld {
		t.Errorf("old while somebody holds the account: %v", s)
	}
	p.end(l)
	p.must(p.look(time.Minute))
	s := p.status("svc")
	if s.GetVersion() != 2 || s.GetState() != stateCurrent {
		t.Errorf("old, and the account is free: %v", s)
	}
	p.must(p.look(time.Hour))
	if again := p.status("svc"); again.GetVersion() != 2 {
		t.Errorf("a new secret is changed again: %v", again)
	}
	p.now = s.GetSince().AsTime().Add(30 * 24 * time.Hour)
	p.must(p.look(time.Minute))
	if again := p.status("svc"); again.GetVersion() != 3 {
		t.Errorf("its age is not counted from its change: %v", again)
	}
}

func TestAnEmergencyChangesTheSecret(t *testing.T) {
	p := newPlant(t)
	p.set("svc", "", canary)
	p.do(func(tx *store.Tx) error {
		return tx.AddSession(store.Session{ID: "e-1", Chain: "c", Kind: store.Emergency, Station: press, Account: "svc", OpenedAt: p.now})
	})
	p.must(p.look(time.Minute))
	if s := p.status("svc"); s.GetVersion() != 1 {
		t.Errorf("changed in the middle of an emergency: %v", s)
	}
	p.now = p.now.Add(time.Minute)
	p.do(func(tx *store.Tx) error {
		return tx.CloseSession("c", "e-1", store.End{At: p.now.AddDate(-1, 0, 0), Reason: "claimed", Received: p.now}) // the station's clock is a year behind
	})
	p.must(p.look(time.Minute))
	if s := p.status("svc"); s.GetVersion() != 2 {
		t.Errorf("after the emergency: %v", s)
	}
}

func TestAChangeThatFailsIsToldOfAndEndsByHand(t *testing.T) {
	p := newPlant(t)
	p.set("svc", "", canary)
	p.directory.before = func() error { return fmt.Errorf("%w: too short", ErrRefused) }
	p.do(func(tx *store.Tx) error { _, err := p.k.Want(tx, "svc", "", false); return err })
	p.must(p.look(time.Hour))
	s := p.status("svc")
	if s.GetState() != stateStuck || s.GetReason() != saidRefused || !slices.Contains(p.alarms(), "rotation-stuck") {
		t.Errorf("status %v, alarms %v", s, p.alarms())
	}
	l := p.open(press, "s-1", "svc")
	if got, err := p.fetch(l); err != nil || got != canary {
		t.Errorf("people can not sign in meanwhile: %q, %v", got, err)
	}
	p.directory.passwords["svc"] = "set by a person"
	if _, err := p.k.Place(t.Context(), &taplinev1.SetAccountSecretRequest{Account: "svc", Secret: []byte("not this one")}); wire.KindOf(err) != wire.Precondition {
		t.Errorf("a secret that the directory does not take: %v", err)
	}
	p.set("svc", "", "set by a person")
	if s := p.status("svc"); s.GetState() != stateCurrent {
		t.Errorf("after it was set by hand: %v", s)
	}
	if got, err := p.fetch(l); err != nil || got != "set by a person" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAPersonIsAskedWhereThereIsNoDriver(t *testing.T) {
	p := newPlant(t)
	p.do(func(tx *store.Tx) error { _, err := p.k.Want(tx, "hand", "", false); return err })
	p.must(p.look(time.Minute))
	if s := p.status("hand"); s.GetState() != stateByHand || !slices.Contains(p.alarms(), "set-secret") {
		t.Errorf("status %v, alarms %v", s, p.alarms())
	}
	p.set("hand", "", canary)
	if s := p.status("hand"); s.GetState() != stateCurrent || s.GetVersion() != 1 {
		t.Errorf("status %v", s)
	}
	err := p.store.Update(t.Context(), func(tx *store.Tx) error { _, err := p.k.Want(tx, "fixed", "", false); return err })
	if wire.KindOf(err) != wire.Precondition {
		t.Errorf("an account without a driver: %v", err)
	}
}

// TestAStationChangesItsOwnAccount plays a station that is away, does not answer, fails, and at last sets the secret; its report comes twice.
func TestAStationChangesItsOwnAccount(t *testing.T) {
	p := newPlant(t)
	p.do(func(tx *store.Tx) error { _, err := p.k.Want(tx, "operator", press, false); return err })
	p.must(p.look(time.Minute))
	if s := p.status("operator"); s.GetState() != stateWaiting {
		t.Errorf("the station is away: %v", s)
	}
	_, line, unplug := p.board.Plug(t.Context(), press)
	defer unplug()
	p.must(p.look(lookEvery))
	id := (<-line.Out).GetRotateAccount().GetRotation()
	take := func(station record.StationID) (string, error) {
		key, err := wire.NewSecretKey()
		p.must(err)
		digest := wire.SecretDigest(id, key.Public())
		r, err := p.k.Take(t.Context(), station, &taplinev1.TakeRotationRequest{
			Rotation: id, SessionKey: key.Public(), Proof: ed25519.Sign(p.keys[station], digest[:]),
		})
		if err != nil {
			return "", err
		}
		s, err := key.Open(r.GetEncapsulated(), wire.SecretInfo(string(station), id, "operator", r.GetExpiresAt().AsTime()), r.GetCiphertext())
		return string(s), err
	}
	first, err := take(press)
	p.must(err)
	if _, err := take(packing); wire.KindOf(err) != wire.NotFound {
		t.Errorf("another station takes it: %v", err)
	}
	if len(first) != usualLength {
		t.Errorf("a secret of %d characters", len(first))
	}
	p.must(p.look(2 * resendAfter)) // it did not report: it is asked again
	if again := (<-line.Out).GetRotateAccount().GetRotation(); again != id {
		t.Errorf("asked for %s, then for %s", id, again)
	}
	report := func(station record.StationID, done bool) error {
		_, err := p.k.Report(t.Context(), station, &taplinev1.ReportRotationRequest{Rotation: id, Done: done, Reason: "helper-away"})
		return err
	}
	if err := report(packing, true); wire.KindOf(err) != wire.NotFound {
		t.Errorf("another station reports: %v", err)
	}
	p.must(report(press, false))
	if s := p.status("operator"); s.GetReason() != "helper-away" || s.GetVersion() != 0 {
		t.Errorf("after a failure: %v", s)
	}
	if second, err := take(press); err != nil || second != first {
		t.Errorf("another secret at the second try: %v", err)
	}
	p.must(report(press, true))
	p.must(report(press, true))
	if s := p.status("operator"); s.GetState() != stateCurrent || s.GetVersion() != 1 || s.GetStation() != string(press) {
		t.Errorf("status %v", s)
	}
	if got, err := p.fetch(p.open(press, "s-1", "operator")); err != nil || got != first {
		t.Errorf("handed out: %v", err)
	}
	if _, err := p.fetch(p.open(packing, "s-2", "operator")); wire.KindOf(err) != wire.Precondition {
		t.Errorf("another station gets this one's secret: %v", err)
	}
}

func TestNewSecretsKeepTheirLaw(t *testing.T) {
	seen := map[string]bool{}
	for n := 8; n <= 128; n++ {
		s := generate(n)
		if len(s) != n || !hasEach(s) || seen[string(s)] {
			t.Errorf("%d characters: %d, each class %v", n, len(s), hasEach(s))
		}
		seen[string(s)] = true
	}
}
