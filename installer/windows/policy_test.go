package windows

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapline/installer/osservice"
)

// element is any XML element: the two files are small and their order does not matter.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []element  `xml:",any"`
}

func (e element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// all are the elements of a name at any depth.
func (e element) all(name string) []element {
	var found []element
	for _, child := range e.Children {
		if child.XMLName.Local == name {
			found = append(found, child)
		}
		found = append(found, child.all(name)...)
	}
	return found
}

func parse(t *testing.T, content []byte) element {
	t.Helper()
	var root element
	if err := xml.Unmarshal(content, &root); err != nil {
		t.Fatal(err)
	}
	return root
}

// widgets says which control of a presentation may show which element of a policy.
func widgets() map[string][]string {
	return map[string][]string{
		"text": {"textBox", "comboBox"}, "decimal": {"decimalTextBox"}, "enum": {"dropdownList"},
		"boolean": {"checkBox"}, "multiText": {"multiTextBox"}, "list": {"listBox"},
	}
}

// faults are the references that do not resolve, in either direction, and the names that are not unique.
func faults(admx, adml element) []string {
	var found []string
	used := map[string]bool{}
	for _, ref := range regexp.MustCompile(`\$\((string|presentation)\.(\w+)\)`).FindAllString(flatten(admx), -1) {
		used[ref] = true
	}
	defined := map[string]bool{}
	for _, kind := range []string{"string", "presentation"} {
		for _, e := range adml.all(kind) {
			ref := "$(" + kind + "." + e.attr("id") + ")"
			if defined[ref] {
				found = append(found, "defined twice: "+ref)
			}
			defined[ref] = true
			if !used[ref] {
				found = append(found, "not used: "+ref)
			}
		}
	}
	for ref := range used {
		if !defined[ref] {
			found = append(found, "not defined: "+ref)
		}
	}
	found = append(found, policyFaults(admx)...)
	found = append(found, widgetFaults(admx, adml)...)
	slices.Sort(found)
	return found
}

// flatten is every attribute of a tree as text; references stand in attributes only.
func flatten(e element) string {
	var b strings.Builder
	for _, a := range e.Attrs {
		b.WriteString(a.Value + "\n")
	}
	for _, child := range e.Children {
		b.WriteString(flatten(child))
	}
	return b.String()
}

func policyFaults(admx element) []string {
	var found []string
	names := map[string]int{}
	for _, name := range append(admx.all("category"), admx.all("definition")...) {
		names[name.XMLName.Local+" "+name.attr("name")]++
	}
	for _, p := range admx.all("policy") {
		names["policy "+p.attr("name")]++
		if !strings.HasPrefix(p.attr("key"), `Software\Policies\`) {
			found = append(found, "not a policy key: "+p.attr("key"))
		}
		if p.attr("class") != "Machine" {
			found = append(found, p.attr("name")+": a service reads machine policies only")
		}
		for _, parent := range p.all("parentCategory") {
			if names["category "+parent.attr("ref")] == 0 {
				found = append(found, "no category "+parent.attr("ref"))
			}
		}
		for _, on := range p.all("supportedOn") {
			if names["definition "+on.attr("ref")] == 0 {
				found = append(found, "no definition "+on.attr("ref"))
			}
		}
	}
	for name, n := range names {
		if n > 1 {
			found = append(found, "twice: "+name)
		}
	}
	return found
}

func widgetFaults(admx, adml element) []string {
	var found []string
	controls := map[string][]string{}
	for _, p := range adml.all("presentation") {
		for _, w := range p.Children {
			controls[w.attr("refId")] = append(controls[w.attr("refId")], w.XMLName.Local)
		}
	}
	for _, elements := range admx.all("elements") {
		for _, e := range elements.Children {
			id, kind := e.attr("id"), e.XMLName.Local
			shown := controls[id]
			delete(controls, id)
			if len(shown) != 1 || !slices.Contains(widgets()[kind], shown[0]) {
				found = append(found, fmt.Sprintf("%s %s is shown by %q", kind, id, shown))
			}
		}
	}
	for id := range controls {
		found = append(found, "control without element: "+id)
	}
	return found
}

func readPolicy(t *testing.T) (admx, adml []byte) {
	t.Helper()
	admx, err := os.ReadFile(filepath.Join("policy", "tapline.admx"))
	if err != nil {
		t.Fatal(err)
	}
	adml, err = os.ReadFile(filepath.Join("policy", "en-US", "tapline.adml"))
	if err != nil {
		t.Fatal(err)
	}
	return admx, adml
}

func TestPolicyReferencesResolveBothWays(t *testing.T) {
	admx, adml := readPolicy(t)
	if diff := cmp.Diff([]string(nil), faults(parse(t, admx), parse(t, adml))); diff != "" {
		t.Error(diff)
	}
}

func TestPolicyOffersWhatOsserviceReads(t *testing.T) {
	content, _ := readPolicy(t)
	admx := parse(t, content)
	var offered []string
	for _, elements := range admx.all("elements") {
		for _, e := range elements.Children {
			offered = append(offered, e.attr("valueName"))
		}
	}
	if diff := cmp.Diff(osservice.PolicyNames(), offered); diff != "" {
		t.Errorf("valueNames (-read +offered):\n%s", diff)
	}
	for _, p := range admx.all("policy") {
		if p.attr("key") != osservice.PolicyKey {
			t.Errorf("%s is written to %s, read from %s", p.attr("name"), p.attr("key"), osservice.PolicyKey)
		}
	}
}

// TestPolicyCheckFindsFaults keeps the check above able to fail.
func TestPolicyCheckFindsFaults(t *testing.T) {
	tests := []struct {
		name, old, new string
		want           int
	}{
		{"a renamed string", `<string id="Mode">`, `<string id="Mod">`, 2},
		{"a renamed control", `refId="Idle_Value"`, `refId="Idle"`, 2},
		{"the wrong control", "decimalTextBox", "textBox", 2},
		{"a string twice", `id="Mode_Gate"`, `id="Mode_Lock"`, 2},
		{"a category that is not there", `ref="Agent"`, `ref="Agents"`, 4},
		{"a key outside the policies", `key="Software\Policies\`, `key="Software\`, 4},
		{"a policy twice", `policy name="Mode"`, `policy name="Broker"`, 1},
		{"a policy for users", `class="Machine"`, `class="User"`, 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			admx, adml := readPolicy(t)
			swap := func(b []byte) []byte { return []byte(strings.ReplaceAll(string(b), test.old, test.new)) }
			got := faults(parse(t, swap(admx)), parse(t, swap(adml)))
			if len(got) != test.want {
				t.Errorf("%d faults, want %d: %q", len(got), test.want, got)
			}
		})
	}
}
