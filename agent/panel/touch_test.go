package panel

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	taplinev1 "tapline/proto/tapline/v1"
)

// calls waits until the page has called so often, and gives the calls.
func (h *house) waitCalls(p *tab, n int) []call {
	p.t.Helper()
	for range 400 {
		if list := h.called(); len(list) >= n {
			return list
		}
		p.eval(`new Promise((done) => setTimeout(done, 15))`, nil)
	}
	p.t.Fatalf("the page has called %d times, want %d", len(h.called()), n)
	return nil
}

// rest lets the page's own time pass.
func (p *tab) rest(d time.Duration) {
	p.t.Helper()
	p.eval(fmt.Sprintf(`new Promise((done) => setTimeout(done, %d))`, d.Milliseconds()), nil)
}

func sceneOf(t *testing.T, name string) scene {
	t.Helper()
	for _, s := range scenes() {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no scene %s", name)
	return scene{}
}

// TestAPINIsEnteredByTouchAndLeavesNoTrace: on the pad, with a mistake corrected; while it is typed and afterwards it is nowhere that outlasts it.
func TestAPINIsEnteredByTouchAndLeavesNoTrace(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	h := openHouse(t, WebConfig{})
	p := b.open(t, h.url)
	h.stage(p, sceneOf(t, "pin"), "en")
	const pin = "73914"
	traces := func(when string) {
		t.Helper()
		var found string
		p.eval(`document.documentElement.outerHTML + location.href + document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + history.length`, &found)
		for n := 2; n <= len(pin); n++ {
			if strings.Contains(found, `"`+pin[:n]+`"`) || strings.Contains(found, ">"+pin[:n]) || strings.Contains(found, pin) {
				t.Errorf("%s the page holds %d digits of the PIN", when, n)
			}
		}
	}
	for _, digit := range "73914" {
		p.touch(fmt.Sprintf(`[data-digit="%c"]`, digit))
	}
	p.touch(`[data-digit="8"]`)
	p.touch(`[data-do="delete"]`)
	p.wait(`document.querySelector("#dots").textContent === "●●●●●" && document.querySelector("#typed").textContent === "5 digits entered"`)
	traces("while it is typed")
	p.touch(`[data-do="enter"]`)
	want := []call{{"pin", map[string]string{"session": "tap-1", "pin": pin}}}
	if diff := cmp.Diff(want, h.waitCalls(p, 1), cmp.AllowUnexported(call{})); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	p.wait(`document.querySelector("#dots").textContent === ""`)
	traces("after it was sent")
	p.touch(`[data-digit="7"]`)
	p.touch(`[data-act="cancel"]`)
	if got := h.waitCalls(p, 2)[1]; got.path != "end" || got.body["session"] != "tap-1" {
		t.Errorf("cancel called %v", got)
	}
	p.quiet()
}

// TestWhatWasTypedIsForgottenWithItsTap: the next person's pad begins empty.
func TestWhatWasTypedIsForgottenWithItsTap(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	h := openHouse(t, WebConfig{})
	p := b.open(t, h.url)
	h.stage(p, sceneOf(t, "pin"), "en")
	p.touch(`[data-digit="1"]`)
	p.touch(`[data-digit="2"]`)
	h.tell(&taplinev1.Notice{Kind: taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED, Session: "tap-9", Person: ben("en"), Lasts: lasts(time.Minute)})
	p.wait(`document.querySelector(".pad").dataset.session === "tap-9" && document.querySelector("#dots").textContent === ""`)
	p.touch(`[data-do="enter"]`) // nothing typed, nothing sent
	p.touch(`[data-digit="5"]`)
	p.touch(`[data-do="enter"]`)
	if got := h.waitCalls(p, 1)[0]; got.body["session"] != "tap-9" || got.body["pin"] != "5" {
		t.Errorf("the page sent %v", got)
	}
}

// TestALeaveTakesTwoTouches, and the first of them alone does nothing.
func TestALeaveTakesTwoTouches(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	h := openHouse(t, WebConfig{})
	p := b.open(t, h.url)
	h.stage(p, sceneOf(t, "named"), "en")
	p.touch(`[data-act="leave"]`)
	p.wait(`!document.querySelector("#leave").hidden`)
	p.touch(`#leave [data-close]`)
	p.wait(`document.querySelector("#leave").hidden`)
	if n := len(h.called()); n != 0 {
		t.Fatalf("%d calls before anybody said yes", n)
	}
	p.touch(`[data-act="leave"]`)
	p.wait(`!document.querySelector("#leave").hidden`)
	p.touch(`[data-end]`)
	if got := h.waitCalls(p, 1)[0]; got.path != "end" || got.body["session"] != h.now.GetSession() {
		t.Errorf("the page called %v", got)
	}
	p.quiet()
}

// TestAnEmergencyTakesTwoSecondsAndAReason: a shorter press, or a finger that slides away, does nothing at all.
func TestAnEmergencyTakesTwoSecondsAndAReason(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	h := openHouse(t, WebConfig{})
	p := b.open(t, h.url)
	h.stage(p, sceneOf(t, "idle"), "en")

	p.press("#emergency")
	p.rest(1500 * time.Millisecond)
	p.lift()
	p.rest(1500 * time.Millisecond)
	p.press("#emergency")
	p.rest(500 * time.Millisecond)
	p.do("Input.dispatchTouchEvent", object{"type": "touchMove", "touchPoints": []object{{"x": 700, "y": 100}}})
	p.rest(2 * time.Second)
	p.lift()
	var open bool
	p.eval(`!document.querySelector("#reasons").hidden`, &open)
	if open || len(h.called()) != 0 {
		t.Fatal("a short press, or one that slid away, opened the station")
	}

	var held float64
	p.eval(`window.began = performance.now(); true`, nil)
	p.press("#emergency")
	p.wait(`!document.querySelector("#reasons").hidden`)
	p.eval(`performance.now() - window.began`, &held)
	p.lift()
	if held < 2000 {
		t.Errorf("held for %.0f ms, want 2 s at least", held)
	}
	if n := len(h.called()); n != 0 {
		t.Fatalf("%d calls before there was a reason", n)
	}
	p.touch(`[data-reason="injury"]`)
	if diff := cmp.Diff([]call{{"emergency", map[string]string{"reason": "injury"}}}, h.waitCalls(p, 1), cmp.AllowUnexported(call{})); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	h.stage(p, sceneOf(t, "emergency"), "en")
	p.touch(`[data-act="claim"]`)
	if got := h.waitCalls(p, 2)[1]; got.path != "claim" || got.body["emergency"] != "e-1" {
		t.Errorf("claim called %v", got)
	}
	p.quiet()
}

// TestACallThatFailsIsSaid, in the words of an operator, and goes away.
func TestACallThatFailsIsSaid(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	h := openHouse(t, WebConfig{})
	p := b.open(t, h.url)
	h.stage(p, sceneOf(t, "named"), "en")
	h.mu.Lock()
	h.refuse = true
	h.mu.Unlock()
	p.touch(`[data-act="leave"]`)
	p.wait(`!document.querySelector("#leave").hidden`)
	p.touch(`[data-end]`)
	p.wait(`!document.querySelector("#failed").hidden`)
	p.wait(`document.querySelector("#failed").hidden`)
}

// TestThePageSpeaksToWhoeverTapped, and to nobody in particular in the station's language; Arabic is a mirror, but for the figures of the pad.
func TestThePageSpeaksToWhoeverTapped(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	h := openHouse(t, WebConfig{Language: "fr-CA"})
	p := b.open(t, h.url)
	p.wait(`document.documentElement.lang === "fr"`)
	h.named(person("p-1", "Jürgen K.", "de-AT"), time.Minute, 0)
	p.wait(`document.documentElement.lang === "de" && document.querySelector("#say").textContent.includes("Jürgen K")`)
	h.named(person("p-2", "Layla H.", "ar-EG"), time.Minute, 0)
	p.wait(`document.documentElement.dir === "rtl" && document.documentElement.lang === "ar"`)
	h.stage(p, sceneOf(t, "pin"), "fr") // nobody is here: the station's language, but the pad's owner has one of their own
	h.tell(&taplinev1.Notice{Kind: taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED, Session: "tap-3", Person: person("p-2", "Layla H.", "ar"), Lasts: lasts(time.Minute)})
	p.wait(`document.documentElement.dir === "rtl"`)
	var mirror bool
	p.eval(`(() => { const left = (s) => document.querySelector(s).getBoundingClientRect().left;
		return left("#emergency") > left(".acts") && left(".words") > left(".pad") && left('[data-digit="1"]') < left('[data-digit="3"]'); })()`, &mirror)
	if !mirror {
		t.Error("the page is not a mirror in Arabic")
	}
	h.nobody()
	h.tell(&taplinev1.Notice{Kind: taplinev1.NoticeKind_NOTICE_KIND_REFUSED, Refusal: taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE})
	p.wait(`document.documentElement.lang === "fr" && document.documentElement.dataset.kind === "refused"`)
	p.quiet()
}

// TestWhatIsHeardIsSeen: each sound has a frame around the page; without sounds the frame is all there is.
func TestWhatIsHeardIsSeen(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	for _, muted := range []bool{false, true} {
		t.Run(fmt.Sprintf("muted %t", muted), func(t *testing.T) {
			h := openHouse(t, WebConfig{Muted: muted})
			p := b.open(t, h.url)
			h.stage(p, sceneOf(t, "idle"), "en")
			p.eval(`window.tones = 0; { const was = OscillatorNode.prototype.start; OscillatorNode.prototype.start = function (...a) { window.tones++; return was.apply(this, a); }; } true`, nil)
			p.touch("#emergency") // somebody has touched the page, so that it may be heard
			for _, s := range []struct{ scene, cue string }{{"named", "ok"}, {"refused", "refused"}, {"idle-warning", "expiring"}} {
				sceneOf(t, s.scene).set(h, "en")
				p.wait(fmt.Sprintf(`document.documentElement.dataset.cue === %q && getComputedStyle(document.querySelector("#stage"), "::after").borderTopWidth !== "0px"`, s.cue))
			}
			var tones int
			p.eval(`window.tones`, &tones)
			if muted != (tones == 0) {
				t.Errorf("%d tones", tones)
			}
		})
	}
}

// TestTheGateOfThePageIsShut: what the policy forbids is stopped and heard of, so that the other tests would hear of it too.
func TestTheGateOfThePageIsShut(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	h := openHouse(t, WebConfig{})
	p := b.open(t, h.url)
	h.stage(p, sceneOf(t, "idle"), "en")
	p.quiet()
	for _, breach := range []string{
		`document.body.setAttribute("style", "color: red")`,
		`(() => { try { document.body.insertAdjacentHTML("beforeend", "<b>x</b>"); } catch (e) { console.error("refused: " + e.message); } })()`,
		`(() => { const s = document.createElement("img"); s.src = "http://192.0.2.1/x.png"; document.body.append(s); })()`,
	} {
		p.eval(breach+"; new Promise((done) => setTimeout(done, 100))", nil)
		if len(p.complaints()) == 0 {
			t.Errorf("nothing was said about %s", breach)
		}
	}
}

// TestAPageOutlivesItsAgent: its loss is said loudly, and when it is back the page is as well, by itself and with the new token.
func TestAPageOutlivesItsAgent(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	h := openHouse(t, WebConfig{})
	p := b.open(t, h.url)
	h.stage(p, sceneOf(t, "named"), "en")
	var token string
	p.eval(`document.querySelector('meta[name="tapline-token"]').content`, &token)
	h.stop()
	p.wait(`!document.querySelector("#gone").hidden && document.querySelector("#say").textContent.includes("lost")`)
	var seen struct{ Who, Button bool }
	p.eval(`({ Who: !document.querySelector("#stage").inert || document.elementFromPoint(400, 200).closest("#gone") === null,
		Button: !document.querySelector("#emergency").hidden })`, &seen)
	if seen.Who || seen.Button {
		t.Error("a page without its agent still shows somebody, or a button that nobody hears")
	}
	h.start()
	p.wait(`document.readyState === "complete" && document.querySelector("#gone").hidden && document.documentElement.dataset.kind === "named"`)
	var next string
	p.eval(`document.querySelector('meta[name="tapline-token"]').content`, &next)
	if next == token {
		t.Error("the page goes on with the token of the last run")
	}
	p.touch(`[data-act="leave"]`)
	p.wait(`!document.querySelector("#leave").hidden`)
	p.touch(`[data-end]`)
	h.waitCalls(p, 1)
}

// TestAPageThatRunsForWeeksStaysSmall: after a great many changes there are no more nodes, listeners and bytes than after a few.
func TestAPageThatRunsForWeeksStaysSmall(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	h := openHouse(t, WebConfig{Muted: true})
	p := b.open(t, h.url)
	h.stage(p, sceneOf(t, "idle"), "en")
	changes := 150
	if os.Getenv("TAPLINE_SUITE") == "long" {
		changes = 3000
	}
	run := func(from, to int) (nodes, listeners, bytes float64) {
		for i := from; i < to; i++ {
			h.named(person("p", fmt.Sprintf("Person %d", i), ""), time.Minute, time.Hour)
			p.wait(fmt.Sprintf(`document.querySelector("#stage h1").textContent === "Person %d"`, i))
		}
		p.do("HeapProfiler.collectGarbage", nil)
		var dom struct{ Nodes, JsEventListeners float64 }
		var heap struct{ UsedSize float64 }
		if err := b.call(p.session, "Memory.getDOMCounters", nil, &dom); err != nil {
			t.Fatal(err)
		}
		if err := b.call(p.session, "Runtime.getHeapUsage", nil, &heap); err != nil {
			t.Fatal(err)
		}
		return dom.Nodes, dom.JsEventListeners, heap.UsedSize
	}
	nodes, listeners, bytes := run(0, 30)
	nodes2, listeners2, bytes2 := run(30, 30+changes)
	t.Logf("after 30 changes %.0f nodes, %.0f listeners, %.0f kB; after %d more %.0f, %.0f, %.0f kB", nodes, listeners, bytes/1000, changes, nodes2, listeners2, bytes2/1000)
	if nodes2 > nodes*1.2+50 || listeners2 > listeners || bytes2 > bytes*1.3+300e3 {
		t.Error("the page grows")
	}
	p.quiet()
}
