package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"tapline/agent/clock"
	"tapline/agent/offline"
	"tapline/agent/session"
	"tapline/agent/statefile"
	"tapline/agent/tries"
	"tapline/proto/grant"
	"tapline/proto/pin"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/reader"
)

// away is a broker that nobody reaches.
type away struct{}

func (away) NameBadge(context.Context, *taplinev1.NameBadgeRequest) (*taplinev1.NameBadgeResponse, error) {
	return nil, errors.New("no broker was to be asked")
}

func (away) VerifyPin(context.Context, *taplinev1.VerifyPinRequest) (*taplinev1.VerifyPinResponse, error) {
	return nil, errors.New("no broker was to be asked")
}

func (away) Connected() bool { return false }

func (away) OpenSession(context.Context, *taplinev1.OpenSessionRequest) (*taplinev1.OpenSessionResponse, error) {
	return nil, errors.New("asked although the line is down")
}

func (away) ExtendSession(context.Context, *taplinev1.ExtendSessionRequest) (*taplinev1.ExtendSessionResponse, error) {
	return nil, errors.New("asked although the line is down")
}

func (away) CloseSession(*taplinev1.CloseSessionRequest, record.Seq) {}

// kept is a journal that keeps what it is given.
type kept struct {
	mu   sync.Mutex // guards all
	all  []record.Payload
	took []time.Time
}

func (k *kept) Write(_ context.Context, p record.Payload) (record.Seq, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all, k.took = append(k.all, p), append(k.took, time.Now())
	return record.Seq(len(k.all)), nil
}

// last is the newest record that is not a heartbeat.
func (k *kept) last() record.Payload {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range slices.Backward(k.all) {
		if p.Type != record.StationHeartbeat {
			return p
		}
	}
	return record.Payload{}
}

// alone is a station in a bubble of time that decides for itself: the real loop, session, keeper, clock, memory and count of PINs, on a real folder.
type alone struct {
	*testing.T
	dir     string
	key     ed25519.PrivateKey
	machine clock.Reading // that clock.Source gives, but for the time since began
	began   time.Time

	clock   *clock.Keeper
	keeper  *offline.Keeper
	memory  *offline.Memory
	decider *decider
}

// unhurried is the machine's disk without waiting for it: nobody pulls its plug here.
type unhurried struct{ statefile.Disk }

func (unhurried) SyncDir(string) error { return nil }

func (u unhurried) CreateTemp(dir, pattern string) (statefile.File, error) {
	f, err := u.Disk.CreateTemp(dir, pattern)
	return unhurriedFile{f}, err
}

type unhurriedFile struct{ statefile.File }

func (unhurriedFile) Sync() error { return nil }

// verifier2468 is of the PIN 2468, at the least cost, because thousands are typed here.
const verifier2468 = "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$KNxCDYv+rouA50U3G/+5Meb4rK6WHk+suWpaOjaVu/w"

// badgeKey is that of the station.
var badgeKey = []byte("0123456789abcdef0123456789abcdef")

func refOf(person string) record.BadgeRef { return grant.Ref(badgeKey, uid(person).Canonical()) }

func newAlone(t *testing.T) *alone {
	t.Helper()
	a := &alone{T: t, dir: t.TempDir(), key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), began: time.Now()}
	a.machine = clock.Reading{Wall: time.Now(), Boot: "boot-0"}
	a.open()
	return a
}

func (a *alone) read() clock.Reading {
	ran := time.Since(a.began)
	return clock.Reading{Wall: a.machine.Wall.Add(ran), Boot: a.machine.Boot, Monotonic: a.machine.Monotonic + ran}
}

// open starts the agent's parts on what is on the disk.
func (a *alone) open() {
	a.Helper()
	must := func(err error) {
		a.Helper()
		if err != nil {
			a.Fatal(err)
		}
	}
	var err error
	disk := unhurried{statefile.OS()}
	a.clock = clock.New(a.read)
	a.keeper, err = offline.Open(offline.Config{Dir: filepath.Join(a.dir, "bundle"), Station: pressName, Evidence: record.PublicKeyOf(a.key), Disk: disk})
	must(err)
	a.memory, err = offline.OpenMemory(offline.MemoryConfig{Dir: peopleDir(a.dir), Now: a.clock.Trusted, Disk: disk})
	must(err)
	pins, err := tries.Open(tries.Config{Dir: peopleDir(a.dir), Now: a.clock.Trusted, Disk: disk})
	must(err)
	a.decider = &decider{
		broker: away{}, bundle: a.keeper, clock: a.clock, within: func() time.Duration { return time.Second }, log: zap.NewNop(),
		pins: pins, checker: pin.NewChecker(1), memory: a.memory,
	}
}

// bundle makes the broker's bundle of a moment. Revoked badges are in it as that.
func (a *alone) bundle(sequence uint64, issued time.Time, revoked map[string]time.Time) []byte {
	a.Helper()
	b := grant.Bundle{
		Version: grant.Version, Station: pressName, Sequence: sequence, IssuedAt: issued.UTC(), NotAfter: issued.AddDate(0, 0, 30).UTC(), Policy: "p1",
		Account: "press", Tiers: grant.DefaultTiers(), Answers: []grant.Answer{{Rules: []string{"everybody"}}, {Refusal: "pin-needed", Rules: []string{"pin"}}},
		PIN: grant.PINRule{FirstOfShift: true},
	}
	cells := make([]int, grant.Cells)
	for i := range cells {
		if c := grant.CircumstancesOf(i); c.Due && !c.PIN {
			cells[i] = 1
		}
	}
	b.Outlooks = []grant.Outlook{{{Cells: cells}}}
	for _, person := range alonePeople {
		g := grant.Grant{
			Badge: refOf(person), Person: grant.Person{ID: record.PersonID(person), DisplayName: person}, PIN: verifier2468,
			Phases: []grant.Phase{{Essential: essential(person)}},
		}
		if _, gone := revoked[person]; gone {
			g.Refusal = "badge-revoked"
		}
		b.Grants = append(b.Grants, g)
	}
	e, err := record.SignStatement(grant.PayloadType, b, a.key)
	if err != nil {
		a.Fatal(err)
	}
	return e.Bytes()
}

var alonePeople = []string{"ann", "ben", "cle", "dor", "sup", "sue"}

func essential(person string) bool { return person[0] == 's' }

// TestThirtyDaysAlone runs a station for thirty days without its broker. Whoever works there taps, types a PIN when asked, and is let in as long as the grants
// are young enough for them: everybody for three days, essential roles with a PIN for fourteen, then nobody by badge.
func TestThirtyDaysAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAlone(t)
		issued := time.Now()
		a.clock.Anchor(issued)
		if err := a.keeper.Take(a.bundle(1, issued, nil)); err != nil {
			t.Fatal(err)
		}
		revoked := map[string]time.Time{"ben": issued.Add(24 * time.Hour), "sue": issued.Add(48 * time.Hour)} // the station cannot know
		journal := &kept{}
		rules := session.DefaultRules()
		rules.Idle, rules.IdleWarning = 30*time.Minute, time.Minute
		l := newLoop(loopConfig{
			Rules: rules, Journal: journal, Decider: a.decider, Badges: func() []byte { return badgeKey }, Show: func(screen) {},
			Remember: a.memory.Note, Heartbeat: 5 * time.Minute, Log: zap.NewNop(),
		})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = l.run(ctx) })
		running.Go(func() { _ = a.memory.Run(ctx) })
		rng := rand.New(rand.NewPCG(30, 1))
		days := make([]alonesDay, 30)
		for time.Since(issued) < 30*24*time.Hour-time.Hour {
			<-time.After(time.Duration(10+rng.IntN(80)) * time.Minute)
			person := alonePeople[rng.IntN(len(alonePeople))]
			age := time.Since(issued)
			day := &days[int(age/(24*time.Hour))]
			day.taps++
			l.hear(ctx, reader.Event{Kind: reader.Tapped, Reader: "left", At: time.Now(), Badge: reader.Badge{Number: uid(person), Technology: "iso14443a", Assurance: 1}}, false)
			synctest.Wait()
			in, asked := a.answer(l, journal, person, rng.IntN(10) == 0)
			if asked {
				day.pins++
			}
			if in {
				day.let++
			}
			a.lawOfTiers(person, age, in, revoked, journal.last())
		}
		stop()
		running.Wait()
		a.lawOfSessions(journal)
		total := alonesDay{}
		for _, d := range days {
			total = alonesDay{total.taps + d.taps, total.let + d.let, total.pins + d.pins}
		}
		t.Logf("30 days alone: %d taps, %d let in, %d PINs asked, %d records", total.taps, total.let, total.pins, len(journal.all))
		if days[1].let < 10 || days[7].let < 3 || 2*days[7].pins < days[7].let || days[20].let != 0 || days[20].taps < 10 {
			t.Errorf("the days show nothing: %+v", days)
		}
	})
}

// alonesDay counts one day.
type alonesDay struct{ taps, let, pins int }

// answer types the PIN if the station asks for one, wrong at first if so wanted, and reports whether the person is there now.
func (a *alone) answer(l *loop, journal *kept, person string, wrongFirst bool) (in, asked bool) {
	a.Helper()
	var state session.State
	if err := l.look(a.Context(), func(s session.State) { state = s }); err != nil {
		a.Fatal(err)
	}
	if held := state.Held(); held != "" {
		asked = true
		if wrongFirst {
			got, err := l.enterPIN(a.Context(), held, session.NewPIN("1111"))
			if err != nil || got.here || got.answer.Refusal != pinWrong && got.answer.Refusal != pinLocked {
				a.Fatalf("a wrong PIN of %s: %+v, %v", person, got, err)
			}
		}
		if _, err := l.enterPIN(a.Context(), held, session.NewPIN("2468")); err != nil {
			a.Fatal(err)
		}
	}
	if err := l.look(a.Context(), func(s session.State) { state = s }); err != nil {
		a.Fatal(err)
	}
	return state.Presence().Person.ID == record.PersonID(person), asked
}

// lawOfTiers holds what the grants allow at an age.
func (a *alone) lawOfTiers(person string, age time.Duration, in bool, revoked map[string]time.Time, last record.Payload) {
	a.Helper()
	switch {
	case age < 72*time.Hour:
		if !in {
			a.Fatalf("%s, after %s: not let in (%s)", person, age, last.Reason)
		}
	case age < 14*24*time.Hour:
		if in != essential(person) {
			a.Fatalf("%s, after %s: let in: %t (%s)", person, age, in, last.Reason)
		}
		if opened := last.Type == record.SessionOpened || last.Type == record.SessionHandedOver; in && opened && !slices.Contains(last.Badge.Factors, "pin") {
			a.Fatalf("%s, after %s: let in without a PIN", person, age)
		}
	case in:
		a.Fatalf("%s, after %s: let in", person, age)
	}
	if since, gone := revoked[person]; gone && in {
		limit := 72 * time.Hour
		if essential(person) {
			limit = 14 * 24 * time.Hour
		}
		if time.Since(since) > limit {
			a.Fatalf("%s: let in %s after the badge was revoked", person, time.Since(since))
		}
	}
}

// lawOfSessions holds that each session that began has one end, and that no record is in the dark.
func (a *alone) lawOfSessions(journal *kept) {
	a.Helper()
	open := record.SessionID("")
	for i, p := range journal.all {
		switch p.Type {
		case record.SessionOpened, record.SessionHandedOver:
			if p.From != nil && p.From.Session != open || p.From == nil && open != "" || p.Decision.By != "bundle" {
				a.Fatalf("record %d: %s from %+v while %q is open", i, p.Type, p.From, open)
			}
			open = p.Session
		case record.SessionClosed:
			if p.Session != open {
				a.Fatalf("record %d: closes %s while %q is open", i, p.Session, open)
			}
			open = ""
		}
	}
	if open != "" {
		a.Fatalf("session %s is open at the end", open)
	}
}

// TestNoRevokedBadgePastItsTier goes through random months: the broker is back for a moment now and then, badges are revoked, old bundles are put back on the
// disk, clocks are set, the agent and the machine start anew. No badge is let in longer after it was revoked than its tier lets the grants age; time that the machine
// was off does not count, since nothing at the station can have noticed it.
func TestNoRevokedBadgePastItsTier(t *testing.T) {
	histories := 6
	if s := os.Getenv("TAPLINE_SUITE"); s == "full" || s == "long" {
		histories = 50
	}
	all := month{}
	for seed := range uint64(histories) {
		synctest.Test(t, func(t *testing.T) {
			m := month{alone: newAlone(t), rng: rand.New(rand.NewPCG(seed, 2)), revoked: map[string]time.Time{}}
			m.hear()
			for range 300 {
				m.happen(seed)
			}
			all.taps, all.let, all.late, all.put = all.taps+m.taps, all.let+m.let, all.late+m.late, all.put+m.put
		})
	}
	t.Logf("%d histories: %d taps, %d let in, %d of them with a badge that was revoked since the last bundle, 0 past the limit; %d old bundles put back", histories, all.taps, all.let, all.late, all.put)
	if all.late == 0 || all.let < all.taps/20 || all.put == 0 {
		t.Error("the histories show nothing")
	}
}

// month is one random history.
type month struct {
	*alone
	rng       *rand.Rand
	sequence  uint64
	old       [][]byte
	revoked   map[string]time.Time // by the true time
	off       time.Duration        // that the machine was off
	offBefore map[string]time.Duration
	boots     int

	taps, let, late, put int
}

// hear is a moment in which the broker is there: it tells the time and hands out its bundle.
func (m *month) hear() {
	m.clock.Anchor(time.Now())
	m.sequence++
	b := m.bundle(m.sequence, time.Now(), m.revoked)
	m.old = append(m.old, b)
	if err := m.keeper.Take(b); err != nil {
		m.Fatal(err)
	}
}

// startAnew ends the agent's run, in order or by a kill that costs what was not on the disk yet, and begins another.
func (m *month) startAnew(ordered bool) {
	floor, last := m.clock.Floor(), m.clock.Stamp()
	if !ordered {
		floor.Least, last.Monotonic = floor.Least.Add(-floorEvery), max(0, last.Monotonic-int64(floorEvery))
		m.off += floorEvery
	}
	m.pause()
	m.open()
	m.clock.Raise(floor)
	m.clock.Resume(last)
}

// pause is the machine off, half of the time; then its clock goes on, and it is another boot.
func (m *month) pause() {
	if m.rng.IntN(2) == 0 {
		return
	}
	off := time.Duration(m.rng.IntN(600)) * time.Minute
	<-time.After(off)
	m.off += off
	m.boots++
	m.machine = clock.Reading{Wall: m.machine.Wall.Add(time.Since(m.began)), Boot: fmt.Sprintf("boot-%d", m.boots), Monotonic: 0}
	m.began = time.Now()
}

func (m *month) happen(seed uint64) {
	m.Helper()
	<-time.After(time.Duration(m.rng.IntN(8*60)) * time.Minute)
	switch m.rng.IntN(24) {
	case 0:
		if m.rng.IntN(3) == 0 {
			m.hear()
		}
	case 1:
		person := alonePeople[m.rng.IntN(len(alonePeople))]
		if _, already := m.revoked[person]; !already && len(m.revoked) < len(alonePeople)-2 {
			m.revoked[person] = time.Now()
			if m.offBefore == nil {
				m.offBefore = map[string]time.Duration{}
			}
			m.offBefore[person] = m.off
		}
	case 2, 3: // somebody puts an old bundle back, through the front or on the disk
		m.put++
		b := m.old[m.rng.IntN(len(m.old))]
		_ = m.keeper.Take(b)
		if m.rng.IntN(2) == 0 {
			if err := statefile.Write(unhurried{statefile.OS()}, filepath.Join(m.dir, "bundle", "bundle.dsse.json"), b); err != nil {
				m.Fatal(err)
			}
			m.startAnew(true)
		}
	case 4, 5: // and sets the clock
		m.machine.Wall = m.machine.Wall.Add(time.Duration(m.rng.IntN(41*24)-40*24) * time.Hour)
	case 6:
		m.startAnew(m.rng.IntN(3) > 0)
	default:
		m.tap(seed)
	}
}

func (m *month) tap(seed uint64) {
	m.Helper()
	person := alonePeople[m.rng.IntN(len(alonePeople))]
	ask := session.Decide{Tap: session.Tap{Session: newSession(), Badge: session.Badge{Ref: refOf(person), Assurance: 1}}, PIN: session.NewPIN("2468")}
	v := m.decider.decide(m.Context(), ask, record.ModeAttribute)
	m.taps++
	if !v.Allowed {
		return
	}
	m.let++
	since, gone := m.revoked[person]
	if !gone {
		return
	}
	m.late++
	limit := 72 * time.Hour
	if v.Decision.Tier == string(grant.TierEssential) {
		limit = 14 * 24 * time.Hour
	}
	if aged := time.Since(since) - (m.off - m.offBefore[person]); aged >= limit {
		m.Fatalf("history %d: %s is let in %s after the badge was revoked (%s off), tier %s", seed, person, time.Since(since), m.off-m.offBefore[person], v.Decision.Tier)
	}
}
