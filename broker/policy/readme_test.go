package policy

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTheExamplesDoWhatTheySay goes through the README: each example loads together with the default set, is nothing strange, and its cases come out.
func TestTheExamplesDoWhatTheySay(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)^([^\n]+)\n\n```cedar\n(.*?)```\n```yaml\n(.*?)```")
	found := 0
	for _, section := range strings.Split(string(text), "\n### ")[1:] {
		m := example.FindStringSubmatch(section)
		if m == nil {
			t.Errorf("no example: %.60s", section)
			continue
		}
		found++
		t.Run(m[1], func(t *testing.T) {
			set := load(t, Default()+m[2])
			if s := set.Strange(); len(s) > 0 {
				t.Errorf("strange: %s", s)
			}
			c, err := ReadCases([]byte(m[3]))
			if err != nil {
				t.Fatal(err)
			}
			outcomes := set.Try(c)
			for _, o := range outcomes {
				if !o.OK {
					t.Errorf("%s %d (%s): %s", o.List, o.Number, o.Name, o.Problem)
				}
			}
			if len(outcomes) == 0 {
				t.Error("no case")
			}
		})
	}
	if found != 11 {
		t.Errorf("%d examples, want 11", found)
	}
}

// TestEveryAttributeIsExplained holds the README to the schema.
func TestEveryAttributeIsExplained(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^ +([a-zA-Z]+)\??: (Bool|Long|String|Set<|Person|Zone)`).FindAllStringSubmatch(Schema(), -1) {
		if !strings.Contains(string(text), m[1]+"`") {
			t.Errorf("%s is in the schema and not in the README", m[1])
		}
	}
	for _, word := range Causes() {
		if !strings.Contains(string(text), "`"+word+"`") {
			t.Errorf("the refusal %s is not in the README", word)
		}
	}
}
