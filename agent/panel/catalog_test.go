package panel

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/feature/plural"

	taplinev1 "tapline/proto/tapline/v1"
)

func load(t *testing.T) *tongues {
	t.Helper()
	all, err := loadTongues()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// TestEveryLanguageSaysEverything: the same keys, with the same placeholders, and a form for exactly those plural categories that the language has.
func TestEveryLanguageSaysEverything(t *testing.T) {
	all := load(t)
	english := all.list[0]
	for _, l := range all.list {
		t.Run(l.Code, func(t *testing.T) {
			if got, want := slices.Sorted(maps.Keys(l.entries)), slices.Sorted(maps.Keys(english.entries)); !slices.Equal(got, want) {
				t.Errorf("keys %v, want %v", got, want)
			}
			for key, e := range l.entries {
				of := english.entries[key]
				if (e.forms == nil) != (of.forms == nil) || e.forms == nil && strings.TrimSpace(e.plain) == "" {
					t.Errorf("%s is empty, or counts where English does not", key)
				}
				got, want := placeholder.FindAllString(e.plain, -1), placeholder.FindAllString(of.plain, -1)
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("%s has the placeholders %v, want %v", key, got, want)
				}
			}
			has := map[plural.Form]bool{}
			for n := range 2000 {
				has[plural.Cardinal.MatchPlural(l.tag, n, 0, 0, 0, 0)] = true
			}
			for key, e := range l.entries {
				for form := range has {
					if e.forms != nil && e.forms[form] == "" {
						t.Errorf("%s has no form %d", key, form)
					}
				}
				for form := range e.forms {
					if !has[form] {
						t.Errorf("%s has a form %d that no number takes", key, form)
					}
				}
			}
		})
	}
}

// TestEveryKeyIsUsed, so that nobody translates what nobody reads. Keys that are put together are named by what they begin with.
func TestEveryKeyIsUsed(t *testing.T) {
	var sources strings.Builder
	for _, name := range []string{"catalog.go", "view.go", "facts.go", "emergency.go", "web.go", "page/page.html"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources.Write(b)
	}
	together := regexp.MustCompile(`^(refused|cause|near|reason|offline|approval|second|language)(\.|$)`)
	for key := range load(t).list[0].entries {
		if !together.MatchString(key) && !strings.Contains(sources.String(), `"`+key+`"`) {
			t.Errorf("nobody says %s", key)
		}
	}
}

// TestEveryCauseHasWords: what brokers and stations refuse for, and what ends sessions, each has its own words, unless it is here.
func TestEveryCauseHasWords(t *testing.T) {
	said := load(t).list[0]
	for n, name := range taplinev1.RefusalCause_name {
		if word := wordOf(name, "REFUSAL_CAUSE_"); n != 0 && word != "called-off" && // whoever called it off knows
			!said.has("refused."+word+".why") {
			t.Errorf("a refusal for %s has no words", word)
		}
	}
	own := []string{"unspecified", "tap-out", "hand-over", "agent-stopped", "agent-died"} // the person's own doing, or seen by nobody
	for _, name := range taplinev1.EndCause_name {
		if word := wordOf(name, "END_CAUSE_"); !slices.Contains(own, word) && !said.has("cause."+word) {
			t.Errorf("an end by %s has no words", word)
		}
	}
}

func TestLengthsOfTimeInEveryLanguage(t *testing.T) {
	all := load(t)
	for _, row := range []struct {
		lang string
		d    time.Duration
		want string
	}{
		{"en", 40 * time.Second, "less than a minute"},
		{"en", time.Minute, "1 minute"},
		{"en", 2*time.Hour + time.Minute, "2 hours 1 minute"},
		{"de", 50*time.Hour + 3*time.Minute, "2 Tage 2 Stunden"},
		{"fr", 90 * time.Minute, "1 heure 30 minutes"},
		{"pl", time.Minute, "1 minuta"},
		{"pl", 3 * time.Minute, "3 minuty"},
		{"pl", 5 * time.Minute, "5 minut"},
		{"pl", 22 * time.Minute, "22 minuty"},
		{"pl", 12 * time.Minute, "12 minut"},
		{"ar", time.Minute, "دقيقة واحدة"},
		{"ar", 2 * time.Minute, "دقيقتان"},
		{"ar", 3 * time.Minute, "3 دقائق"},
		{"ar", 11 * time.Minute, "11 دقيقة"},
		{"ar", 48 * time.Hour, "يومان"},
		{"zh", 5 * 24 * time.Hour, "5 天"},
	} {
		got := strings.NewReplacer(firstStrongIsolate, "", popIsolate, "").Replace(all.find(row.lang).span(row.d))
		if got != row.want {
			t.Errorf("%s, %s: %q, want %q", row.lang, row.d, got, row.want)
		}
	}
}

func TestTheNearestLanguageIsFound(t *testing.T) {
	all := load(t)
	for _, row := range []struct {
		tags []string
		want string
	}{
		{[]string{"de-AT"}, "de"},
		{[]string{"zh-Hans-CN"}, "zh"},
		{[]string{"", "pl"}, "pl"},
		{[]string{"xx-not-a-language!", "es"}, "es"},
		{[]string{"ja", "fr-CA"}, "fr"},
		{[]string{"ja"}, "en"},
		{nil, "en"},
	} {
		if got := all.find(row.tags...).Code; got != row.want {
			t.Errorf("%v: %s, want %s", row.tags, got, row.want)
		}
	}
	if err := CheckLanguage("ja"); err == nil || !strings.Contains(err.Error(), "ar, de, en, es, fr, pl, zh") {
		t.Errorf("a language that the page does not speak: %v", err)
	}
	if err := CheckLanguage("de-CH"); err != nil {
		t.Error(err)
	}
}

// FuzzFill: whatever a name is, it is in the text as it is, and kept from turning what is around it.
func FuzzFill(f *testing.F) {
	f.Add("Anna B.")
	f.Add("{before}")
	f.Add("ليلى")
	f.Fuzz(func(t *testing.T, name string) {
		got := fill("x {name} y", []string{"name", name})
		if want := "x " + firstStrongIsolate + name + popIsolate + " y"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
