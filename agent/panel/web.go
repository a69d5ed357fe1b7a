package panel

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"

	taplinev1 "tapline/proto/tapline/v1"
)

// Station is what the page shows. The agent is one.
type Station interface {
	// Watch returns the present state and then every change, until ctx ends or the reader is too slow; then the channel is closed.
	Watch(ctx context.Context) <-chan *taplinev1.WatchPresenceResponse
	// Status tells how the agent is. The page asks every second or two for as long as it is open somewhere.
	Status() *taplinev1.GetStatusResponse
}

// WebConfig is what the page of a station needs.
type WebConfig struct {
	Station Station
	// Language is the BCP 47 tag of the language in which the page speaks to nobody in particular; empty is English.
	Language string
	// Muted is a page without sounds. What they say is seen too.
	Muted bool
}

// Web is the page. Run keeps it up to date, Handler shows it.
type Web struct {
	cfg     WebConfig
	tongues *tongues
	pages   *template.Template
	assets  assets

	mu      sync.Mutex // guards the fields below
	model   model
	known   bool // the agent has said who is here
	viewers map[*viewer]bool
}

// viewer is one page that listens. It is woken when something may have changed, and looks for itself.
type viewer struct{ wake chan struct{} }

// maxViewers is how many pages may listen at once. A station has one or two screens.
const maxViewers = 16

//go:embed page
var pageFiles embed.FS

// NewWeb makes the page of a station and starts nothing.
func NewWeb(cfg WebConfig) (*Web, error) {
	w := &Web{cfg: cfg, viewers: map[*viewer]bool{}, model: model{presence: &taplinev1.Presence{}}}
	var err error
	if w.tongues, err = loadTongues(); err != nil {
		return nil, err
	}
	if w.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if w.pages, err = template.ParseFS(pageFiles, "page/*.html"); err != nil {
		return nil, fmt.Errorf("templates of the page: %w", err)
	}
	return w, nil
}

// statusEvery is how often the page looks how the agent is while somebody looks at the page.
const statusEvery = 2 * time.Second

// Run keeps the page up to date until ctx ends.
func (w *Web) Run(ctx context.Context) error {
	var changes <-chan *taplinev1.WatchPresenceResponse
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var looked time.Time
	for {
		if changes == nil {
			changes = w.cfg.Station.Watch(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case c, ok := <-changes:
			if !ok {
				changes = nil // too slow, or over: ask again, with the next tick at the latest
				if !wait(ctx, tick.C) {
					return nil
				}
				continue
			}
			w.change(c)
		case now := <-tick.C:
			if now.Sub(looked) >= statusEvery && w.watched() {
				looked = now
				w.look()
			}
			w.pass(now)
		}
	}
}

func wait(ctx context.Context, tick <-chan time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-tick:
		return true
	}
}

// change takes in what the agent says.
func (w *Web) change(c *taplinev1.WatchPresenceResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.model.apply(c, time.Now())
	w.known = true
	w.wakeAll()
}

// look asks how the agent is.
func (w *Web) look() {
	status := w.cfg.Station.Status()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.model.status = status
}

// pass lets time pass: minutes count, and what was said is over. Who listens sees whether anything of it is to be seen.
func (w *Web) pass(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.model.pass(now)
	w.wakeAll()
}

func (w *Web) watched() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.viewers) > 0
}

// wakeAll wakes all pages. mu must be held.
func (w *Web) wakeAll() {
	for v := range w.viewers {
		select {
		case v.wake <- struct{}{}:
		default: // it is awake, or will be
		}
	}
}

// join adds a page; false when there are too many.
func (w *Web) join() (*viewer, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.viewers) >= maxViewers {
		return nil, false
	}
	v := &viewer{wake: make(chan struct{}, 1)}
	w.viewers[v] = true
	return v, true
}

func (w *Web) leave(v *viewer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.viewers, v)
}

// view is what is to be seen now; false when the agent has not said anything yet.
func (w *Web) view() (view, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.model.view(w.tongues.find(w.model.language(), w.cfg.Language), time.Now()), w.known
}

// Handler shows the page. Its requests that change something go to the local API and carry token.
func (w *Web) Handler(token string) http.Handler {
	run := w.assets.run(token)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(out http.ResponseWriter, _ *http.Request) { w.page(out, token, run) })
	mux.HandleFunc("GET /panel/events", func(out http.ResponseWriter, r *http.Request) { w.events(out, r, run) })
	mux.HandleFunc("GET /panel/assets/{name}", w.assets.serve)
	return mux
}

// policy is what the page may do: load its own files, ask its own origin, and put into itself only what went through its own one gate.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types tapline"

// frame is everything of the page.
type frame struct {
	View    view
	Token   string
	Run     string
	Script  string
	Style   string
	Emblem  string
	Muted   bool
	Refresh int // seconds until a browser without scripts looks again
	Reasons []act
}

func (w *Web) frame(v view, token, run string) frame {
	return frame{
		View: v, Token: token, Run: run, Muted: w.cfg.Muted, Refresh: 5, Reasons: reasons(),
		Script: w.assets.path("panel.js"), Style: w.assets.path("panel.css"), Emblem: w.assets.path("emblem.svg"),
	}
}

func (w *Web) page(out http.ResponseWriter, token, run string) {
	if !w.watched() {
		w.look()
	}
	v, _ := w.view()
	var body bytes.Buffer
	if err := w.pages.ExecuteTemplate(&body, "page", w.frame(v, token, run)); err != nil {
		http.Error(out, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	h := out.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	_, _ = body.WriteTo(out)
}

// message is one state of the page on its way to the browser. Parts are the page's parts by their ID.
type message struct {
	Kind  kind              `json:"kind"`
	Tone  string            `json:"tone"`
	Open  bool              `json:"open"`
	Lang  string            `json:"lang"`
	Dir   string            `json:"dir"`
	Title string            `json:"title"`
	Say   string            `json:"say"`
	Cue   int               `json:"cue"`
	Sound sound             `json:"sound"`
	Parts map[string]string `json:"parts"`
}

// message is the view as the browser takes it.
func (w *Web) message(v view) ([]byte, error) {
	m := message{
		Kind: v.Kind, Tone: v.Tone, Open: v.Open, Lang: v.T.Code, Dir: v.T.Dir(), Title: v.PageTitle(), Say: v.Say(), Cue: v.Cue, Sound: v.Sound,
		Parts: map[string]string{},
	}
	f := w.frame(v, "", "")
	for _, part := range []string{"head", "stage", "foot", "over"} {
		var b strings.Builder
		if err := w.pages.ExecuteTemplate(&b, part, f); err != nil {
			return nil, err
		}
		m.Parts[part] = b.String()
	}
	return json.Marshal(m)
}

// PageTitle is the title of the browser's window.
func (v view) PageTitle() string { return v.T.Say("page.title", "station", v.Station) }

// Say is what a screen reader says: the state in a sentence or two.
func (v view) Say() string {
	var said []string
	for _, s := range []string{v.Title, v.Text, v.Note, v.Next} {
		if s != "" {
			said = append(said, strings.TrimSuffix(s, "."))
		}
	}
	return strings.Join(said, ". ")
}
