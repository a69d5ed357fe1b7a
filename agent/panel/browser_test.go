package panel

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a real Chromium, spoken to in its own protocol (Chrome DevTools Protocol) over two pipes.
type browser struct {
	out *os.File

	mu      sync.Mutex // guards the fields below
	last    int
	waiting map[int]chan answer
	pages   map[string]*tab
	over    error
}

type answer struct {
	ID        int             `json:"id"`
	Result    json.RawMessage `json:"result"`
	Error     *struct{ Message string }
	Method    string          `json:"method"`
	Params    json.RawMessage `json:"params"`
	SessionID string          `json:"sessionId"`
}

// startBrowser starts Chromium for the time of a test.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs: chromium")
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	heard, said, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile := t.TempDir()
	c := exec.Command(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--user-data-dir="+profile, "--no-first-run",
		"--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--force-color-profile=srgb", "--mute-audio", "--autoplay-policy=no-user-gesture-required", "about:blank")
	c.Env = append(os.Environ(), "HOME="+profile)
	c.ExtraFiles = []*os.File{theirs, said}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = theirs.Close(), said.Close()
	b := &browser{out: ours, waiting: map[int]chan answer{}, pages: map[string]*tab{}}
	var reading sync.WaitGroup
	reading.Go(func() { b.read(heard) })
	t.Cleanup(func() {
		_ = b.call("", "Browser.close", nil, nil)
		_ = ours.Close()
		late := time.AfterFunc(5*time.Second, func() { _ = c.Process.Kill() })
		_ = c.Wait()
		late.Stop()
		reading.Wait()
		_ = heard.Close()
	})
	return b
}

// read takes in what the browser says, message by message, each ended by a NUL.
func (b *browser) read(from *os.File) {
	r := bufio.NewReader(from)
	for {
		line, err := r.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			b.over = fmt.Errorf("the browser is gone: %w", err)
			for id, wait := range b.waiting {
				delete(b.waiting, id)
				close(wait)
			}
			b.mu.Unlock()
			return
		}
		var a answer
		if json.Unmarshal(line[:len(line)-1], &a) != nil {
			continue
		}
		b.mu.Lock()
		if wait, ok := b.waiting[a.ID]; ok && a.ID != 0 {
			delete(b.waiting, a.ID)
			wait <- a
		} else if p := b.pages[a.SessionID]; p != nil && a.Method != "" {
			p.hear(a)
		}
		b.mu.Unlock()
	}
}

func (b *browser) call(session, method string, params, result any) error {
	wait := make(chan answer, 1)
	b.mu.Lock()
	if b.over != nil {
		b.mu.Unlock()
		return b.over
	}
	b.last++
	id := b.last
	b.waiting[id] = wait
	b.mu.Unlock()
	m := map[string]any{"id": id, "method": method}
	if params != nil {
		m["params"] = params
	}
	if session != "" {
		m["sessionId"] = session
	}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if _, err := b.out.Write(append(body, 0)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	select {
	case a, ok := <-wait:
		switch {
		case !ok:
			return fmt.Errorf("%s: the browser is gone", method)
		case a.Error != nil:
			return fmt.Errorf("%s: %s", method, a.Error.Message)
		case result != nil:
			return json.Unmarshal(a.Result, result)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: no answer", method)
	}
}

// tab is one page in the browser. Whatever it complains about is kept.
type tab struct {
	t       *testing.T
	b       *browser
	session string

	mu        sync.Mutex // guards complaints
	complains []string
}

type object = map[string]any

func (b *browser) open(t *testing.T, url string) *tab {
	t.Helper()
	var target struct{ TargetID string }
	var attached struct{ SessionID string }
	if err := b.call("", "Target.createTarget", object{"url": "about:blank"}, &target); err != nil {
		t.Fatal(err)
	}
	if err := b.call("", "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached); err != nil {
		t.Fatal(err)
	}
	p := &tab{t: t, b: b, session: attached.SessionID}
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	t.Cleanup(func() { _ = b.call("", "Target.closeTarget", object{"targetId": target.TargetID}, nil) })
	for _, domain := range []string{"Page", "Runtime", "Log", "DOM"} {
		p.do(domain+".enable", nil)
	}
	p.do("Emulation.setTouchEmulationEnabled", object{"enabled": true})
	p.do("Emulation.setFocusEmulationEnabled", object{"enabled": true})
	p.size(800, 480)
	p.go_(url)
	return p
}

func (p *tab) go_(url string) { //nolint:revive // go is a word of the language
	p.t.Helper()
	p.do("Page.navigate", object{"url": url})
	p.wait(`document.readyState === "complete"`)
}

// hear takes note of whatever a page must not cause: faults of scripts, errors in the console, breaches of the content security policy.
func (p *tab) hear(a answer) {
	var params struct {
		Entry            struct{ Level, Source, Text string }
		Type             string
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	_ = json.Unmarshal(a.Params, &params)
	says := ""
	switch {
	case a.Method == "Runtime.exceptionThrown":
		says = params.ExceptionDetails.Text + " " + params.ExceptionDetails.Exception.Description
	case a.Method == "Runtime.consoleAPICalled" && (params.Type == "error" || params.Type == "warning"):
		says = string(a.Params)
	case a.Method == "Log.entryAdded" && params.Entry.Source != "network":
		says = params.Entry.Source + ": " + params.Entry.Text
	}
	if says != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.complains = append(p.complains, says)
	}
}

func (p *tab) complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	said := p.complains
	p.complains = nil
	return said
}

// quiet fails the test for whatever the page complained about.
func (p *tab) quiet() {
	p.t.Helper()
	for _, says := range p.complaints() {
		p.t.Errorf("the page complains: %s", says)
	}
}

func (p *tab) do(method string, params any) {
	p.t.Helper()
	if err := p.b.call(p.session, method, params, nil); err != nil {
		p.t.Fatal(err)
	}
}

// eval gives the value of an expression; a promise is waited for.
func (p *tab) eval(expression string, into any) {
	p.t.Helper()
	if err := p.try(expression, into); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) try(expression string, into any) error {
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := p.b.call(p.session, "Runtime.evaluate", object{"expression": expression, "awaitPromise": true, "returnByValue": true}, &r)
	switch {
	case err != nil:
		return err
	case r.ExceptionDetails != nil:
		return fmt.Errorf("%s: %s %s", short(expression), r.ExceptionDetails.Text, r.ExceptionDetails.Exception.Description)
	case into != nil && len(r.Result.Value) > 0:
		return json.Unmarshal(r.Result.Value, into)
	}
	return nil
}

func short(s string) string { return s[:min(len(s), 120)] }

// wait waits until an expression is true, looking at each frame.
func (p *tab) wait(expression string) {
	p.t.Helper()
	if !p.within(expression, 20*time.Second) {
		var now string
		p.eval(`document.documentElement.outerHTML.replace(/<svg[^]*?<\/svg>/g, "")`, &now)
		p.t.Fatalf("never true: %s\nthe page is\n%s", expression, now)
	}
}

// within looks for so long. A page that loads itself again meanwhile is no fault.
func (p *tab) within(expression string, deadline time.Duration) bool {
	p.t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); {
		var ok bool
		err := p.try(fmt.Sprintf(`new Promise((done) => { const end = performance.now() + 500; const look = () => { if (%s) done(true); else if (performance.now() > end) done(false);
			else setTimeout(look, 15); }; look(); })`, expression), &ok)
		if err != nil && !strings.Contains(err.Error(), "navigated") && !strings.Contains(err.Error(), "context") && !strings.Contains(err.Error(), "null") {
			p.t.Fatal(err)
		}
		if ok {
			return true
		}
	}
	return false
}

func (p *tab) size(width, height int) {
	p.t.Helper()
	p.do("Emulation.setDeviceMetricsOverride", object{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
}

// media sets what the user prefers, such as prefers-color-scheme: dark.
func (p *tab) media(pairs ...string) {
	p.t.Helper()
	var features []object
	for i := 0; i < len(pairs); i += 2 {
		features = append(features, object{"name": pairs[i], "value": pairs[i+1]})
	}
	p.do("Emulation.setEmulatedMedia", object{"features": features})
}

// at is the middle of an element; the element must be where a finger gets it.
func (p *tab) at(selector string) (x, y float64) {
	p.t.Helper()
	var middle []float64
	p.eval(fmt.Sprintf(`(() => { const e = document.querySelector(%q); if (!e) return [];
		const b = e.getBoundingClientRect(), x = b.x + b.width / 2, y = b.y + b.height / 2, hit = document.elementFromPoint(x, y);
		return hit && (hit === e || e.contains(hit)) ? [x, y] : []; })()`, selector), &middle)
	if len(middle) != 2 {
		p.t.Fatalf("no finger gets at %s", selector)
	}
	return middle[0], middle[1]
}

// press puts a finger on an element and leaves it there.
func (p *tab) press(selector string) {
	p.t.Helper()
	x, y := p.at(selector)
	p.do("Input.dispatchTouchEvent", object{"type": "touchStart", "touchPoints": []object{{"x": x, "y": y}}})
}

func (p *tab) lift() {
	p.t.Helper()
	p.do("Input.dispatchTouchEvent", object{"type": "touchEnd", "touchPoints": []object{}})
}

func (p *tab) touch(selector string) {
	p.t.Helper()
	p.press(selector)
	p.lift()
}

func (p *tab) picture(format string, quality int) []byte {
	p.t.Helper()
	params := object{"format": format}
	if quality > 0 { // for the docs, at three quarters of the size
		params["quality"], params["clip"] = quality, object{"x": 0, "y": 0, "width": 800, "height": 480, "scale": 0.75}
	}
	var shot struct{ Data string }
	if err := p.b.call(p.session, "Page.captureScreenshot", params, &shot); err != nil {
		p.t.Fatal(err)
	}
	image, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	return image
}

// axe gives the source of axe-core, whose version and hash stand in testdata/axe.
func axe(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("needs: node")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "axe"))); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		for _, sign := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "ENOTCACHED", "E50"} {
			if strings.Contains(string(out), sign) {
				t.Skip("needs: npm registry")
			}
		}
		t.Fatalf("npm: %v\n%s", err, out)
	}
	source, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}
