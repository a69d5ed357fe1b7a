package agent

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/agent/brokertest"
	"tapline/proto/grant"
	"tapline/proto/ledger"
	"tapline/proto/record"
	"tapline/proto/record/evidence"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/reader"
	"tapline/reader/readertest"
)

const pressName = "plant/packing/line-3/press-4"

// uid is the badge number of a person here.
func uid(person string) reader.Number {
	b := []byte{0x04, 0xC0, 0xFF, 0xEE, 0x11, 0x22, 0x33}
	copy(b[4:], person)
	return reader.NewNumber("uid", b, 0)
}

// press is one station with its broker, its reader, and all that it writes.
type press struct {
	t      *testing.T
	broker *brokertest.Broker
	cfg    Config
	reader *readertest.Fake
	log    *buffer
	panel  *buffer
	disk   ledger.FS              // nil is the machine's
	next   atomic.Pointer[Config] // what a reload reads

	mu      sync.Mutex // guards the fields below
	fence   uint64
	blocked chan struct{} // not nil: the broker answers no tap until it is closed

	local   taplinev1.LocalServiceClient
	watch   <-chan *taplinev1.WatchPresenceResponse
	agent   *Agent
	stop    func()
	off     func()   // stops the broker
	machine *Machine // what hears the service manager; nil for nothing
}

// buffer is a file in memory.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newPress(t *testing.T) *press {
	t.Helper()
	return newPressIn(t, t.TempDir())
}

// newPressIn makes one whose state is in dir.
func newPressIn(t *testing.T, dir string) *press {
	t.Helper()
	p := &press{t: t, broker: brokertest.New(t, time.Now), log: &buffer{}, panel: &buffer{}}
	p.broker.Open = p.open
	l := listen(t, "127.0.0.1:0")
	p.broker.Addresses = []string{l.Addr().String()}
	p.off = p.broker.ServeOn(t, l)
	cfg, err := DefaultConfig()
	if err != nil {
		t.Fatal(err)
	}
	cfg.StateDir, cfg.Socket, cfg.KeyStore = filepath.Join(dir, "state"), filepath.Join(t.TempDir(), "s"), "file"
	cfg.Session.Bounce, cfg.Web.Listen = time.Millisecond, ""
	p.cfg = cfg
	token := p.broker.Token(pressName, l.Addr().String())
	if _, err := Enrol(t.Context(), cfg, token, EnrolOptions{Build: "test"}); err != nil {
		t.Fatal(err)
	}
	p.broker.Bundle = p.bundle()
	return p
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// open is the broker's table: everybody but strangers.
func (p *press) open(r *taplinev1.OpenSessionRequest) *taplinev1.OpenSessionResponse {
	p.mu.Lock()
	blocked := p.blocked
	p.fence++
	fence := p.fence
	p.mu.Unlock()
	if blocked != nil {
		<-blocked
	}
	now := time.Now()
	for _, person := range []string{"ann", "ben"} {
		if bytes.Equal(r.GetBadge().GetNumber(), uid(person).Canonical()) {
			return &taplinev1.OpenSessionResponse{
				Decision:   &taplinev1.Decision{Allowed: true, PolicyVersion: "p1", Rules: []string{"everybody"}},
				Person:     &taplinev1.Person{Id: "p-" + person, DisplayName: strings.ToUpper(person)},
				Lease:      &taplinev1.Lease{Id: "lease", Account: "press", Fence: fence, ExpiresAt: timestamppb.New(now.Add(time.Hour))},
				BrokerTime: timestamppb.New(now),
			}
		}
	}
	return &taplinev1.OpenSessionResponse{
		Decision:   &taplinev1.Decision{Refusal: taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE, HelpCode: "K4F2ZT"},
		BrokerTime: timestamppb.New(now),
	}
}

// block makes the broker silent on taps until the result is called.
func (p *press) block() (release func()) {
	ch := make(chan struct{})
	p.mu.Lock()
	p.blocked = ch
	p.mu.Unlock()
	return sync.OnceFunc(func() {
		p.mu.Lock()
		p.blocked = nil
		p.mu.Unlock()
		close(ch)
	})
}

// bundle is signed by the broker and grants Ann and Ben, with changes if there are any.
func (p *press) bundle(change ...func(*grant.Bundle)) []byte {
	p.t.Helper()
	keys, err := OpenKeys(p.cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	a := &Agent{cfg: p.cfg, keys: keys, log: zap.NewNop(), troubles: &troubles{}}
	if err := a.openIdentity(); err != nil {
		p.t.Fatal(err)
	}
	key := a.identity.Current().BadgeKey
	now := time.Now().UTC()
	b := grant.Bundle{
		Version: grant.Version, Station: pressName, Sequence: 1, IssuedAt: now, NotAfter: now.AddDate(0, 0, 30), Policy: "p1",
		Account: "press", Tiers: grant.DefaultTiers(),
		Answers: []grant.Answer{{Rules: []string{"everybody"}}}, Outlooks: []grant.Outlook{{{Cells: []int{0}}}},
	}
	for _, person := range []string{"ann", "ben"} {
		b.Grants = append(b.Grants, grant.Grant{
			Badge: grant.Ref(key, uid(person).Canonical()), Person: grant.Person{ID: record.PersonID("p-" + person), DisplayName: strings.ToUpper(person)},
			Phases: []grant.Phase{{}},
		})
	}
	for _, c := range change {
		c(&b)
	}
	return p.broker.Sign(grant.PayloadType, b)
}

// start runs the agent until stop; it returns once the local API answers and the line to the broker is as wanted.
func (p *press) start() {
	p.t.Helper()
	p.reader = readertest.NewFake("left", "right")
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(p.log), zap.DebugLevel)
	a, err := New(p.cfg, Options{
		Build: "test", Log: zap.New(core), Panel: p.panel, Sources: []reader.Source{p.reader}, Disk: p.disk, Machine: p.machine,
		Reload: func() (Config, error) {
			if next := p.next.Load(); next != nil {
				return *next, nil
			}
			return p.cfg, nil
		},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.agent = a
	ctx, cancel := context.WithCancel(p.t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := a.Run(ctx); err != nil {
			p.t.Errorf("run: %v", err)
		}
	})
	watching, unwatch := context.WithCancel(p.t.Context())
	p.watch = a.Watch(watching)
	conn, err := grpc.NewClient("unix:"+p.cfg.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		p.t.Fatal(err)
	}
	p.local = taplinev1.NewLocalServiceClient(conn)
	p.stop = sync.OnceFunc(func() {
		unwatch()
		_ = conn.Close()
		cancel()
		running.Wait()
	})
	p.t.Cleanup(p.stop)
	p.until("the station is up", func() bool {
		st, err := p.local.GetStatus(p.t.Context(), &taplinev1.GetStatusRequest{})
		return err == nil && len(st.GetReaders()) == 2
	})
}

// connected waits until the line stands and the bundle is there.
func (p *press) connected() {
	p.t.Helper()
	p.until("the line to the broker", func() bool { return p.agent.line.Connected() && p.agent.bundle.Have() > 0 })
}

func (p *press) until(what string, ok func() bool) {
	p.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			p.t.Fatalf("waited in vain: %s\nlog:\n%s", what, p.log)
		}
	}
}

// sees waits for what the station shows next that is wanted.
func (p *press) sees(what string, wanted func(*taplinev1.WatchPresenceResponse) bool) *taplinev1.WatchPresenceResponse {
	p.t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for {
		select {
		case r, ok := <-p.watch:
			if !ok {
				p.t.Fatalf("the watch ended before %s", what)
			}
			if wanted(r) {
				return r
			}
		case <-limit.C:
			p.t.Fatalf("the station never shows %s\nlog:\n%s", what, p.log)
		}
	}
}

// tap taps a person's badge and waits until the station names the person.
func (p *press) tap(at reader.Name, person string) *taplinev1.Presence {
	p.t.Helper()
	p.reader.Tap(at, uid(person))
	r := p.sees(person, func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetPresence().GetPerson().GetId() == "p-"+person && r.GetNotice() == nil
	})
	p.reader.Leave(at)
	return r.GetPresence()
}

// refused taps a badge and waits until the station refuses it.
func (p *press) refused(at reader.Name, person string) *taplinev1.Notice {
	p.t.Helper()
	p.reader.Tap(at, uid(person))
	r := p.sees("a refusal", func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetNotice().GetKind() == taplinev1.NoticeKind_NOTICE_KIND_REFUSED
	})
	p.reader.Leave(at)
	return r.GetNotice()
}

// story verifies the journal as an auditor does and tells its sessions.
func (p *press) story() []string {
	p.t.Helper()
	dir := filepath.Join(p.cfg.StateDir, "journal")
	chains, err := evidence.Open(dir)
	if err != nil {
		p.t.Fatal(err)
	}
	found, err := evidence.Verify(p.t.Context(), chains, evidence.Options{})
	if err != nil || len(found) != 1 || found[0].Fault != nil {
		p.t.Fatalf("the journal as evidence: %+v, %v", found, err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "station.dsse.json"))
	if err != nil {
		p.t.Fatal(err)
	}
	e, err := record.ParseEnvelope(b)
	if err != nil {
		p.t.Fatal(err)
	}
	cv, err := record.NewVerifier(record.Pin(p.broker.EvidenceKey())).Station(e)
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := ledger.OpenReader(filepath.Join(dir, "records"), ledger.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	var lines []string
	for entry, err := range r.Entries(1) {
		if err != nil {
			p.t.Fatal(err)
		}
		if f := cv.Add(entry.Data); f != nil {
			p.t.Fatalf("the journal does not verify: %v", f)
		}
		one, err := record.ReadEntry(entry.Data)
		if err != nil {
			p.t.Fatal(err)
		}
		p.decided(one.Payload)
		if line := tell(one.Payload); line != "" {
			lines = append(lines, line)
		}
	}
	if f := cv.Finish(); f != nil {
		p.t.Fatalf("the journal does not verify: %v", f)
	}
	return lines
}

// decided holds that whoever begins a session does so by a version of the policy and by rules that the record names, with or without the broker.
func (p *press) decided(r record.Payload) {
	p.t.Helper()
	if r.Type != record.SessionOpened && r.Type != record.SessionHandedOver {
		return
	}
	if d := r.Decision; d == nil || d.Policy != "p1" || !slices.Equal(d.Rules, []string{"everybody"}) {
		p.t.Errorf("%s does not say what decided: %+v", r.Type, d)
	}
}

func tell(p record.Payload) string {
	by := ""
	if p.Decision != nil {
		by = " by " + p.Decision.By
	}
	if p.Second != nil {
		by += " with " + string(p.Second.Person) + " as " + string(p.Second.Part)
	}
	switch p.Type {
	case record.SessionOpened:
		return "opened " + string(p.Person) + by
	case record.SessionHandedOver:
		return "handed over " + string(p.From.Person) + " to " + string(p.Person) + by
	case record.SessionClosed:
		return "closed " + string(p.Person) + ": " + string(p.Reason)
	case record.EmergencyOpened:
		return "emergency opened: " + string(p.Reason) + by
	case record.EmergencyClaimed:
		return "claimed " + string(p.Person) + ": " + p.Claim.Note + by
	case record.TapRefused:
		return "refused: " + string(p.Reason) + by
	case record.StationStarted, record.StationStopped, record.StationHeartbeat, record.OperatorAction, record.UnattributedBegan:
		return string(p.Type)
	}
	return ""
}

// everything is all that the agent wrote, by name.
func (p *press) everything() map[string][]byte {
	p.t.Helper()
	all := map[string][]byte{"log": []byte(p.log.String()), "panel": []byte(p.panel.String())}
	err := filepath.WalkDir(p.cfg.StateDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		all[path] = b
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

// copy copies a folder with its rights.
func (p *press) copy(from, to string) {
	p.t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, 0o600)
	})
	if err != nil {
		p.t.Fatal(err)
	}
}
