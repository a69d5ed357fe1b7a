package panel

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "take the pictures of the page anew")

// screens are the sizes that the page is made for.
func screens() [][2]int { return [][2]int{{800, 480}, {1280, 800}, {1920, 1080}, {3840, 2160}} }

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
	b := startBrowser(t)
	for _, lang := range Languages() {
		t.Run(lang, func(t *testing.T) {
			h := openHouse(t, WebConfig{Language: lang})
			p := b.open(t, h.url)
			for _, s := range scenes() {
				h.stage(p, s, lang)
				for _, screen := range screens() {
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
					p.eval(`axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"] })
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

// TestPictures takes the pictures that the README shows, with -update; without it every picture that is shown must be there.
func TestPictures(t *testing.T) {
	if !*update {
		t.Skip("needs: -update")
	}
	b := startBrowser(t)
	h := openHouse(t, WebConfig{Language: "en"})
	dir := os.Getenv("TAPLINE_PICTURES")
	p := b.open(t, h.url)
	for _, s := range scenes() {
		h.stage(p, s, "en")
		p.size(800, 480)
		if dir != "" {
			if err := os.WriteFile(filepath.Join(dir, s.name+".png"), p.picture("png", 0), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
