package panel

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "take the pictures of the page anew")

// screens are the sizes that the page is made for. From 1920x1080 on everything grows with the screen, so that but for the long suite three languages are
// enough for the largest, which takes longer than all others together; likewise for a screen that stands on end.
func screens(lang string) [][2]int {
	sizes := [][2]int{{800, 480}, {1280, 800}, {1920, 1080}}
	if os.Getenv("TAPLINE_SUITE") == "long" || lang == "en" || lang == "de" || lang == "ar" {
		sizes = append(sizes, [2]int{3840, 2160}, [2]int{600, 1024})
	}
	return sizes
}

// misfits are elements that do not fit into the screen or into what holds them, and targets that are too small for a glove.
const misfits = `(() => {
	const wrong = [], seen = (e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest(".unseen, .sprite, [hidden]");
	const name = (e) => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + (e.className && e.className.baseVal === undefined ? "." + e.className : "");
	const sheet = document.querySelector(".sheet:not([hidden])");
	for (const e of document.querySelectorAll("body *")) {
		if (!seen(e) || e.closest("svg") && e.tagName !== "svg") continue;
		if (sheet && e.closest("#stage")) continue;
		const b = e.getBoundingClientRect();
		if (!b.width || !b.height) continue;
		if (b.left < -0.6 || b.top < -0.6 || b.right > innerWidth + 0.6 || b.bottom > innerHeight + 0.6)
			wrong.push(name(e) + " leaves the screen: " + [b.left, b.top, b.right, b.bottom].map(Math.round));
		const style = getComputedStyle(e); // what glyphs need above and below their line is no overflow, unless it is cut
		if (e.tagName !== "svg" && style.display !== "inline" && e.clientWidth && !e.matches("progress") && (e.scrollWidth > e.clientWidth + 1
			|| style.overflowY !== "visible" && e.scrollHeight > e.clientHeight + parseFloat(style.fontSize) / 4))
			wrong.push(name(e) + " overflows: " + [e.scrollWidth, e.clientWidth, e.scrollHeight, e.clientHeight]);
		const holder = e.parentElement.closest("#stage, header, footer, .sheet, button");
		if (holder) {
			const h = holder.getBoundingClientRect();
			if (b.left < h.left - 0.6 || b.right > h.right + 0.6 || b.top < h.top - 0.6 || b.bottom > h.bottom + 0.6) wrong.push(name(e) + " leaves " + name(holder) + ": " + [b.top, b.bottom, h.top, h.bottom].map(Math.round));
		}
		if (e.tagName === "BUTTON" && (b.width < 96 || b.height < 96)) wrong.push(name(e) + " is too small: " + [b.width, b.height]);
	}
	const buttons = [...document.querySelectorAll("button")].filter((e) => seen(e) && !(sheet && !e.closest(".sheet, footer")));
	for (const a of buttons) for (const b of buttons) {
		const x = a.getBoundingClientRect(), y = b.getBoundingClientRect();
		if (a !== b && x.left < y.right - 1 && y.left < x.right - 1 && x.top < y.bottom - 1 && y.top < x.bottom - 1) wrong.push(name(a) + " lies over " + name(b));
	}
	return wrong;
})()`

// TestEveryStateFitsEveryScreen: no word is cut, nothing overflows, and all that can be touched has 96 px, in every language, state and size.
func TestEveryStateFitsEveryScreen(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	for _, lang := range Languages() {
		t.Run(lang, func(t *testing.T) {
			h := openHouse(t, WebConfig{Language: lang})
			p := b.open(t, h.url)
			for _, s := range scenes() {
				h.stage(p, s, lang)
				for _, screen := range screens(lang) {
					p.size(screen[0], screen[1])
					var wrong []string
					p.eval(misfits, &wrong)
					for _, w := range wrong {
						t.Errorf("%s at %dx%d: %s", s.name, screen[0], screen[1], w)
					}
				}
			}
			p.quiet()
		})
	}
}

// TestAxeFindsNothing: axe-core has nothing to say about any state in any language, in light and dark.
func TestAxeFindsNothing(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	source := axe(t)
	for _, lang := range Languages() {
		t.Run(lang, func(t *testing.T) {
			h := openHouse(t, WebConfig{Language: lang})
			p := b.open(t, h.url)
			p.size(1280, 800)
			p.eval(source+"; true", nil)
			for _, s := range scenes() {
				for _, theme := range themes(lang) {
					p.media("prefers-color-scheme", theme)
					h.stage(p, s, lang)
					var found []struct {
						ID, Help string
						Nodes    []struct{ HTML, FailureSummary string }
					}
					p.eval(`axe.run(document, { preload: false, runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"] })
						.then((r) => r.violations.map((v) => ({ ID: v.id, Help: v.help, Nodes: v.nodes.map((n) => ({ HTML: n.html, FailureSummary: n.failureSummary })) })))`, &found)
					for _, f := range found {
						for _, n := range f.Nodes {
							t.Errorf("%s, %s: %s: %s\n%s\n%s", s.name, theme, f.ID, f.Help, n.HTML, n.FailureSummary)
						}
					}
				}
			}
			p.quiet()
		})
	}
}

// themes are those in which a language is looked at. The colours are the same in all languages, so that but for the long suite one is enough in dark.
func themes(lang string) []string {
	if lang == "en" || os.Getenv("TAPLINE_SUITE") == "long" {
		return []string{"light", "dark"}
	}
	return []string{"light"}
}

// picture is one of those that the README shows.
type picture struct {
	scene, lang string
	dark        bool
}

func (p picture) file() string { return filepath.Join("screenshots", p.scene+"-"+p.lang+".webp") }

func pictures() []picture {
	return []picture{
		{"idle", "en", false},
		{"named", "en", false},
		{"hand-over", "en", false},
		{"ask", "en", false},
		{"refused", "en", false},
		{"pin", "en", false},
		{"second", "pl", false},
		{"idle-warning", "en", false},
		{"named-offline", "de", true},
		{"reasons", "en", false},
		{"emergency", "en", false},
		{"claim", "zh", true},
		{"gone", "en", false},
		{"pin-wrong", "ar", true},
	}
}

const largestPicture = 16_000

// TestPictures: the README shows every picture, and they stay small. With -update they are taken anew; TAPLINE_PICTURES names a folder that then gets all
// states in all languages, to look at.
func TestPictures(t *testing.T) {
	if *update {
		takePictures(t)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pictures() {
		info, err := os.Stat(p.file())
		switch {
		case err != nil:
			t.Errorf("%v: go test ./agent/panel -run TestPictures -update takes it", err)
		case info.Size() > largestPicture:
			t.Errorf("%s has %d bytes, %d at most", p.file(), info.Size(), largestPicture)
		}
		if !strings.Contains(string(readme), "("+filepath.ToSlash(p.file())+")") {
			t.Errorf("the README does not show %s", p.file())
		}
	}
}

func takePictures(t *testing.T) {
	b := startBrowser(t)
	all := os.Getenv("TAPLINE_PICTURES")
	for _, lang := range Languages() {
		h := openHouse(t, WebConfig{Language: lang})
		p := b.open(t, h.url)
		for _, s := range scenes() {
			for _, dark := range []bool{false, true} {
				shown := slices.Contains(pictures(), picture{s.name, lang, dark})
				if !shown && (all == "" || dark && lang != "en") {
					continue
				}
				theme := map[bool]string{false: "light", true: "dark"}[dark]
				p.media("prefers-color-scheme", theme, "prefers-reduced-motion", "reduce")
				h.stage(p, s, lang)
				p.eval(`delete document.documentElement.dataset.cue`, nil)
				if shown {
					save(t, picture{s.name, lang, dark}.file(), p.picture("webp", 40))
				}
				if all != "" {
					save(t, filepath.Join(all, fmt.Sprintf("%s-%s-%s.png", s.name, lang, theme)), p.picture("png", 0))
				}
			}
		}
	}
}

func save(t *testing.T, name string, body []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, body, 0o600); err != nil {
		t.Fatal(err)
	}
}
