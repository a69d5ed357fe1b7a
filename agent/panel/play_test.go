package panel

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/agent/localapi"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// play is a station that is played: it keeps the rules of the agent's watch and of the local API, and refuses what breaks them.
type play struct {
	t *testing.T

	mu       sync.Mutex // guards the fields below
	now      *taplinev1.Presence
	status   *taplinev1.GetStatusResponse
	watchers map[chan *taplinev1.WatchPresenceResponse]bool
	waits    string // the tap that waits for an answer
	sessions int
	calls    []call
	refuse   bool // every call
}

type call struct {
	path string
	body map[string]string
}

func newPlay(t *testing.T) *play {
	p := &play{t: t, watchers: map[chan *taplinev1.WatchPresenceResponse]bool{}}
	p.now = &taplinev1.Presence{State: taplinev1.PresenceState_PRESENCE_STATE_IDLE, Station: "berlin/packing/line-3/press-4"}
	p.healthy()
	return p
}

func (p *play) Status() *taplinev1.GetStatusResponse {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

func (p *play) Watch(ctx context.Context) <-chan *taplinev1.WatchPresenceResponse {
	changes := make(chan *taplinev1.WatchPresenceResponse, 64)
	p.mu.Lock()
	defer p.mu.Unlock()
	changes <- &taplinev1.WatchPresenceResponse{Presence: p.now}
	p.watchers[changes] = true
	context.AfterFunc(ctx, func() { p.cut(changes) })
	return changes
}

func (p *play) cut(changes chan *taplinev1.WatchPresenceResponse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watchers[changes] {
		delete(p.watchers, changes)
		close(changes)
	}
}

func (p *play) publish(n *taplinev1.Notice) {
	for w := range p.watchers {
		w <- &taplinev1.WatchPresenceResponse{Presence: p.now, Notice: n}
	}
}

func (p *play) be(change func(*taplinev1.Presence)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := &taplinev1.Presence{State: taplinev1.PresenceState_PRESENCE_STATE_IDLE, Station: p.now.GetStation()}
	if change != nil {
		change(next)
	}
	if next.GetState() == taplinev1.PresenceState_PRESENCE_STATE_NAMED && (next.GetPerson() == nil || next.GetSession() == "") {
		p.t.Fatal("nobody can be named without person and session")
	}
	p.now, p.waits = next, ""
	p.publish(nil)
}

func (p *play) tell(n *taplinev1.Notice) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits = ""
	switch n.GetKind() {
	case taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED, taplinev1.NoticeKind_NOTICE_KIND_SECOND_PERSON_NEEDED:
		if p.waits = n.GetSession(); p.waits == "" {
			p.t.Fatal("a tap that waits has a name")
		}
	case taplinev1.NoticeKind_NOTICE_KIND_ALREADY_HERE, taplinev1.NoticeKind_NOTICE_KIND_IDLE_WARNING, taplinev1.NoticeKind_NOTICE_KIND_CARD_GONE:
		if p.now.GetPerson() == nil {
			p.t.Fatal("that can be said only to somebody who is here")
		}
	}
	p.publish(n)
}

func (p *play) session() string {
	p.sessions++
	return fmt.Sprintf("0198-%06d", p.sessions)
}

// named puts a person at the station, since some time ago.
func (p *play) named(who *taplinev1.Person, ago, left time.Duration) {
	p.be(func(n *taplinev1.Presence) {
		n.State, n.Person, n.Session, n.Since = taplinev1.PresenceState_PRESENCE_STATE_NAMED, who, p.session(), timestamppb.New(time.Now().Add(-ago))
		if left > 0 {
			n.EndsAt = timestamppb.New(time.Now().Add(left))
		}
	})
}

func (p *play) nobody() { p.be(nil) }

func (p *play) state(change func(*taplinev1.GetStatusResponse)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := &taplinev1.GetStatusResponse{
		Readers: []*taplinev1.ReaderStatus{{Name: "reader", Attached: true}},
		Broker:  &taplinev1.BrokerStatus{Connected: true, Since: timestamppb.New(time.Now().Add(-time.Hour))},
		Bundle:  &taplinev1.BundleStatus{Sequence: 1, Tier: "all"}, Journal: &taplinev1.JournalStatus{},
	}
	if change != nil {
		change(next)
	}
	p.status = next
}

func (p *play) healthy() { p.state(nil) }

func (p *play) offline(ago time.Duration, tier string) {
	p.state(func(s *taplinev1.GetStatusResponse) {
		s.Broker.Connected, s.Broker.Since, s.Bundle.Tier = false, timestamppb.New(time.Now().Add(-ago)), tier
	})
}

// The part of the local API that pages call.

func (p *play) take(path string, body map[string]string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse {
		return wire.E(wire.Unavailable, "the station is stopping")
	}
	if path == "pin" && body["session"] != p.waits {
		return wire.E(wire.NotFound, "that tap does not wait for a PIN")
	}
	p.calls = append(p.calls, call{path, body})
	return nil
}

func (p *play) Presence() *taplinev1.Presence {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *play) EnterPin(_ context.Context, tap, pin string) (*taplinev1.Decision, error) {
	return &taplinev1.Decision{Allowed: true}, p.take("pin", map[string]string{"session": tap, "pin": pin})
}

func (p *play) EndSession(_ context.Context, session string) error {
	return p.take("end", map[string]string{"session": session})
}

func (p *play) BeginEmergency(_ context.Context, reason string) (*taplinev1.BeginEmergencyResponse, error) {
	return &taplinev1.BeginEmergencyResponse{Emergency: "e-1"}, p.take("emergency", map[string]string{"reason": reason})
}

func (p *play) ClaimEmergency(_ context.Context, req *taplinev1.ClaimEmergencyRequest) (*taplinev1.ClaimEmergencyResponse, error) {
	return &taplinev1.ClaimEmergencyResponse{Missing: 2}, p.take("claim", map[string]string{"emergency": req.GetEmergency()})
}

func (p *play) called() []call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]call(nil), p.calls...)
}

// house is a station whose page is served as the agent serves it: by the real local API, with all that it asks of browsers.
type house struct {
	*play
	web  *Web
	url  string
	stop func() // ends the agent, as far as browsers see
}

func openHouse(t *testing.T, cfg WebConfig) *house {
	t.Helper()
	p := newPlay(t)
	cfg.Station = p
	w, err := NewWeb(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &house{play: p, web: w, url: "http://" + l.Addr().String()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	h.start()
	t.Cleanup(func() { h.stop() })
	return h
}

// others are the calls that no page makes.
type others struct{ localapi.Station }

// start begins a run of the agent; each has a token of its own.
func (h *house) start() {
	h.t.Helper()
	folder, err := os.MkdirTemp("", "panel") // a socket's path must be short
	if err != nil {
		h.t.Fatal(err)
	}
	api := localapi.New(localapi.Config{
		Socket: filepath.Join(folder, "s"), Station: struct {
			others
			*play
		}{play: h.play}, Listen: strings.TrimPrefix(h.url, "http://"), Page: h.web.Handler, Log: zap.NewNop(),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var group errgroup.Group
	group.Go(func() error { return h.web.Run(ctx) })
	group.Go(func() error { return api.Run(ctx) })
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := group.Wait(); err != nil {
			h.t.Error(err)
		}
		_ = os.RemoveAll(folder)
	})
	for range 1000 {
		resp, err := http.Get(h.url)
		if err == nil {
			_ = resp.Body.Close()
			return
		}
		runtime.Gosched()
	}
	h.t.Fatal("nobody serves the page")
}

// scene is a state of the page. A sheet is what the page itself lays over it.
type scene struct {
	name  string
	sheet string
	kind  kind
	set   func(h *house, lang string)
}

func person(id, name, lang string) *taplinev1.Person {
	return &taplinev1.Person{Id: id, DisplayName: name, Language: lang}
}

// names are those that people at the stations of a language may have.
func names(lang string) (one, two string) {
	return map[string]string{"zh": "王芳", "ar": "ليلى ح.", "pl": "Zofia W.", "fr": "Hélène D.", "es": "Lucía M.", "de": "Jürgen K."}[lang], "Anna B."
}

func anna(lang string) *taplinev1.Person {
	name, other := names(lang)
	if name == "" {
		name = other
	}
	return person("p-anna", name, lang)
}

func ben(lang string) *taplinev1.Person { return person("p-ben", "Benjamin O.", lang) }

// alarm is an emergency that began three minutes ago and that so many people have to claim.
func alarm(missing uint32) *taplinev1.Emergency {
	since := time.Now().Add(-3 * time.Minute)
	return &taplinev1.Emergency{Id: "e-1", Reason: "injury", Since: timestamppb.New(since), ClaimBy: timestamppb.New(since.Add(time.Hour)), Missing: missing}
}

func lasts(d time.Duration) *durationpb.Duration { return durationpb.New(d) }

// scenes are all states of the page.
func scenes() []scene {
	type notice = taplinev1.Notice
	here := func(h *house, lang string) { h.named(anna(lang), 42*time.Minute, 5*time.Hour) }
	told := func(n func(lang string) *notice) func(*house, string) {
		return func(h *house, lang string) { h.tell(n(lang)) }
	}
	both := func(list ...func(*house, string)) func(*house, string) {
		return func(h *house, lang string) {
			for _, do := range list {
				do(h, lang)
			}
		}
	}
	emergency := func(h *house, _ string) {
		h.be(func(p *taplinev1.Presence) {
			e := alarm(2)
			p.State, p.Emergency, p.Unclaimed = taplinev1.PresenceState_PRESENCE_STATE_EMERGENCY, e, []*taplinev1.Emergency{e}
		})
	}
	claim := func(missing uint32, same bool) func(*house, string) {
		return told(func(string) *notice {
			return &notice{
				Kind: taplinev1.NoticeKind_NOTICE_KIND_CLAIM_TAP, Emergency: "e-1", Missing: missing, SamePerson: same, Lasts: lasts(30 * time.Second),
			}
		})
	}
	unrecorded := func(h *house, lang string) {
		h.state(func(s *taplinev1.GetStatusResponse) { s.Journal.Degraded = true })
		h.be(func(p *taplinev1.Presence) {
			p.State, p.Person, p.Session = taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED, anna(lang), "s-1"
			p.Since = timestamppb.New(time.Now())
		})
	}
	refused := func(cause taplinev1.RefusalCause, code string, wait time.Duration) func(*house, string) {
		return told(func(string) *notice {
			return &notice{Kind: taplinev1.NoticeKind_NOTICE_KIND_REFUSED, Refusal: cause, HelpCode: code, Lasts: lasts(wait)}
		})
	}
	pin := func(cause taplinev1.RefusalCause) func(*house, string) {
		return told(func(lang string) *notice {
			return &notice{
				Kind: taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED, Refusal: cause, Session: "tap-1", Person: anna(lang), Lasts: lasts(45 * time.Second),
			}
		})
	}
	second := func(cause taplinev1.RefusalCause) func(*house, string) {
		return told(func(lang string) *notice {
			return &notice{
				Kind: taplinev1.NoticeKind_NOTICE_KIND_SECOND_PERSON_NEEDED, Refusal: cause, Session: "tap-2", Person: anna(lang), Lasts: lasts(time.Minute),
			}
		})
	}
	about := func(k taplinev1.NoticeKind, cause taplinev1.EndCause, d time.Duration) func(*house, string) {
		return told(func(lang string) *notice { return &notice{Kind: k, Cause: cause, Person: anna(lang), Lasts: lasts(d)} })
	}
	return []scene{
		{"idle", "", kindIdle, func(*house, string) {}},
		{"idle-offline", "", kindIdle, func(h *house, _ string) { h.offline(50*time.Hour+10*time.Minute, "all") }},
		{"reader-away", "", kindReaderAway, func(h *house, _ string) {
			h.state(func(s *taplinev1.GetStatusResponse) { s.Readers[0].Attached = false })
		}},
		{"deciding", "", kindDeciding, told(func(string) *notice { return &notice{Kind: taplinev1.NoticeKind_NOTICE_KIND_DECIDING} })},
		{"named", "", kindNamed, here},
		{"named-soon-over", "", kindNamed, func(h *house, lang string) { h.named(anna(lang), 7*time.Hour+51*time.Minute, 9*time.Minute) }},
		{"named-offline", "", kindNamed, both(func(h *house, _ string) { h.offline(26*time.Hour, "essential") }, here)},
		{"hand-over", "", kindHandOver, both(func(h *house, lang string) { h.named(ben(lang), time.Hour, time.Hour) }, here)},
		{"unrecorded", "", kindUnrecorded, unrecorded},
		{"idle-in-trouble", "", kindReaderAway, func(h *house, _ string) { // everything at once in the top edge
			h.state(func(s *taplinev1.GetStatusResponse) {
				s.Readers[0].Attached, s.Broker.Connected, s.Journal.Low, s.Bundle.Tier = false, false, true, "emergency"
			})
			h.be(func(p *taplinev1.Presence) {
				p.State, p.Unclaimed = taplinev1.PresenceState_PRESENCE_STATE_IDLE, []*taplinev1.Emergency{alarm(1)}
			})
		}},
		{"unattributed", "", kindUnattributed, func(h *house, _ string) {
			h.be(func(p *taplinev1.Presence) { p.State = taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED })
		}},
		{"refused", "", kindRefused, refused(taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE, "K4F2ZT", 5*time.Second)},
		{"refused-locked", "", kindRefused, refused(taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_LOCKED, "M9QX3B", 5*time.Minute)},
		{"refused-while-here", "", kindRefused, both(here, refused(taplinev1.RefusalCause_REFUSAL_CAUSE_CERTIFICATION, "B7TN4D", 5*time.Second))},
		{"unreadable", "", kindUnreadable, told(func(string) *notice { return &notice{Kind: taplinev1.NoticeKind_NOTICE_KIND_UNREADABLE} })},
		{"pin", "", kindPIN, pin(0)},
		{"pin-wrong", "", kindPIN, pin(taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG)},
		{"approval", "", kindSecond, second(taplinev1.RefusalCause_REFUSAL_CAUSE_APPROVAL_NEEDED)},
		{"second", "", kindSecond, second(taplinev1.RefusalCause_REFUSAL_CAUSE_SECOND_PERSON_NEEDED)},
		{"ask", "", kindAsk, both(here, about(taplinev1.NoticeKind_NOTICE_KIND_ALREADY_HERE, 0, 10*time.Second))},
		{"idle-warning", "", kindIdleWarning, both(here, about(taplinev1.NoticeKind_NOTICE_KIND_IDLE_WARNING, 0, time.Minute))},
		{"card-gone", "", kindCardGone, both(here, about(taplinev1.NoticeKind_NOTICE_KIND_CARD_GONE, 0, 5*time.Second))},
		{"end-near", "", kindEndNear, both(here, about(taplinev1.NoticeKind_NOTICE_KIND_END_NEAR, taplinev1.EndCause_END_CAUSE_SHIFT_END, 5*time.Minute))},
		{"ended", "", kindEnded, about(taplinev1.NoticeKind_NOTICE_KIND_ENDED, taplinev1.EndCause_END_CAUSE_IDLE, 0)},
		{"emergency", "", kindEmergency, emergency},
		{"emergency-over", "", kindNamed, func(h *house, lang string) {
			h.be(func(p *taplinev1.Presence) {
				p.State, p.Person, p.Session = taplinev1.PresenceState_PRESENCE_STATE_NAMED, anna(lang), "s-2"
				p.Since, p.Unclaimed = timestamppb.New(time.Now()), []*taplinev1.Emergency{alarm(2)}
			})
		}},
		{"claim", "", kindClaim, both(emergency, claim(2, false))},
		{"claim-same-person", "", kindClaim, both(emergency, claim(1, true))},
		{"claimed", "", kindClaimed, told(func(string) *notice { return &notice{Kind: taplinev1.NoticeKind_NOTICE_KIND_CLAIMED, Emergency: "e-1"} })},
		{"unclaimed", "", kindUnclaimed, told(func(string) *notice {
			return &notice{Kind: taplinev1.NoticeKind_NOTICE_KIND_EMERGENCY_UNCLAIMED, Emergency: "e-1", Missing: 2}
		})},
		{"gone", "gone", kindIdle, func(*house, string) {}},
		{"failed", "failed", kindNamed, here},
		{"leave", "leave", kindNamed, here},
		{"reasons", "reasons", kindIdle, func(*house, string) {}},
		{"emergency-end", "leave", kindEmergency, emergency},
	}
}

// stage brings a scene about and waits until the page shows it.
func (h *house) stage(p *tab, s scene, lang string) {
	p.t.Helper()
	h.healthy()
	h.nobody()
	h.web.look()
	h.web.mu.Lock()
	h.web.model.notice, h.web.model.before = nil, nil // of the scene before
	h.web.mu.Unlock()
	p.wait(`document.documentElement.dataset.kind === "idle"`)
	s.set(h, lang)
	h.web.look()
	p.wait(fmt.Sprintf(`document.documentElement.dataset.kind === %q && document.documentElement.lang === %q`, s.kind, lang))
	h.web.mu.Lock()
	h.web.model.noticeUntil, h.web.model.beforeUntil = time.Now().Add(time.Hour), time.Now().Add(time.Hour) // it is looked at for as long as that takes
	h.web.mu.Unlock()
	p.eval(fmt.Sprintf(`(() => { document.documentElement.dataset.sheet = %[1]q; for (const s of document.querySelectorAll(".sheet")) s.hidden = s.id !== %[1]q;
		document.querySelector("#stage").inert = %[2]t; const acts = document.querySelector(".acts"); if (acts) acts.hidden = %[2]t;
		document.querySelector("#emergency").hidden = ["reasons", "gone"].includes(%[1]q); })()`, s.sheet, s.sheet != ""), nil)
}
