package panel

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed lang/*.json
var languageFiles embed.FS

// entry is one text of a catalogue: plain, or one form for each plural category of the language (Unicode CLDR).
type entry struct {
	plain string
	forms map[plural.Form]string
}

// formNames are the plural categories as CLDR spells them.
var formNames = map[string]plural.Form{
	"zero": plural.Zero, "one": plural.One, "two": plural.Two, "few": plural.Few, "many": plural.Many, "other": plural.Other,
}

// UnmarshalJSON reads a text, or an object of forms.
func (e *entry) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &e.plain) == nil {
		return nil
	}
	var forms map[string]string
	if err := json.Unmarshal(b, &forms); err != nil {
		return err
	}
	e.forms = map[plural.Form]string{}
	for name, text := range forms {
		form, ok := formNames[name]
		if !ok {
			return fmt.Errorf("%q is no plural category", name)
		}
		e.forms[form] = text
	}
	return nil
}

// tongue is one language of the page.
type tongue struct {
	tag     language.Tag
	Code    string
	entries map[string]entry
}

// tongues are all languages; the first is English.
type tongues struct {
	list    []*tongue
	matcher language.Matcher
}

func loadTongues() (*tongues, error) {
	names, err := fs.Glob(languageFiles, "lang/*.json")
	if err != nil {
		return nil, err
	}
	all := &tongues{}
	for _, name := range names {
		t := &tongue{Code: strings.TrimSuffix(path.Base(name), ".json")}
		b, err := languageFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(b, &t.entries); err != nil {
			return nil, fmt.Errorf("catalogue %s: %w", name, err)
		}
		if t.tag, err = language.Parse(t.Code); err != nil {
			return nil, fmt.Errorf("catalogue %s: %w", name, err)
		}
		if t.Code == "en" {
			all.list = append([]*tongue{t}, all.list...)
			continue
		}
		all.list = append(all.list, t)
	}
	var tags []language.Tag
	for _, t := range all.list {
		tags = append(tags, t.tag)
	}
	all.matcher = language.NewMatcher(tags)
	return all, nil
}

// find gives the language that is nearest to the first of the BCP 47 tags that any language is near to; empty tags are passed over.
func (all *tongues) find(tags ...string) *tongue {
	for _, tag := range tags {
		t, err := language.Parse(tag)
		if tag == "" || err != nil {
			continue
		}
		if _, i, confidence := all.matcher.Match(t); confidence >= language.High {
			return all.list[i]
		}
	}
	return all.list[0]
}

// Languages are the codes of the languages that the page speaks.
func Languages() []string {
	names, err := fs.Glob(languageFiles, "lang/*.json")
	if err != nil {
		return nil
	}
	for i, name := range names {
		names[i] = strings.TrimSuffix(path.Base(name), ".json")
	}
	return names
}

// CheckLanguage says what is wrong with the language of a configuration.
func CheckLanguage(tag string) error {
	all, err := loadTongues()
	if err != nil {
		return err
	}
	t, err := language.Parse(tag)
	if err == nil {
		if _, _, confidence := all.matcher.Match(t); confidence >= language.High {
			return nil
		}
	}
	return fmt.Errorf("%q: want one of %s", tag, strings.Join(Languages(), ", "))
}

// Dir is the direction of writing.
func (t *tongue) Dir() string { return t.entries["direction"].plain }

// Say is the text of a key with its placeholders filled in; args are names and values in turn. What is filled in keeps its own direction of writing.
func (t *tongue) Say(key string, args ...string) string {
	return fill(t.entries[key].plain, args)
}

// count is the text of a key for n things.
func (t *tongue) count(key string, n int) string {
	e := t.entries[key]
	text, ok := e.forms[plural.Cardinal.MatchPlural(t.tag, n, 0, 0, 0, 0)]
	if !ok {
		text = e.forms[plural.Other]
	}
	return strings.ReplaceAll(text, "{n}", strconv.Itoa(n))
}

// has reports whether there is a text for the key.
func (t *tongue) has(key string) bool {
	_, ok := t.entries[key]
	return ok
}

// Isolates of the bidirectional algorithm (Unicode UAX 9): a Latin name inside an Arabic sentence leaves the order of the words around it alone.
const firstStrongIsolate, popIsolate = "\u2068", "\u2069"

func fill(text string, args []string) string {
	for i := 0; i+1 < len(args); i += 2 {
		text = strings.ReplaceAll(text, "{"+args[i]+"}", firstStrongIsolate+args[i+1]+popIsolate)
	}
	return text
}

// span is a length of time in words, as coarse as a person would say it.
func (t *tongue) span(d time.Duration) string {
	minutes := int(d / time.Minute)
	hours, days := minutes/60, minutes/(24*60)
	switch {
	case minutes < 1:
		return t.Say("span.now")
	case hours < 1:
		return t.count("span.minutes", minutes)
	case days < 1 && minutes%60 != 0:
		return t.Say("span.join", "a", t.count("span.hours", hours), "b", t.count("span.minutes", minutes%60))
	case days < 1:
		return t.count("span.hours", hours)
	case days < 3 && hours%24 != 0:
		return t.Say("span.join", "a", t.count("span.days", days), "b", t.count("span.hours", hours%24))
	}
	return t.count("span.days", days)
}
