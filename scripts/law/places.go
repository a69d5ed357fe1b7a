package law

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// leftovers are folder names that say nothing about what is inside.
var leftovers = []string{
	"base", "common", "core", "helper", "helpers", "internal", "lib", "misc", "pkg", "shared", "types", "util", "utils",
}

func folderNames(tree *Tree) []Breach {
	var found []Breach
	for _, folder := range tree.Folders {
		if slices.Contains(leftovers, path.Base(folder)) {
			found = append(found, Breach{folder, 0, "a folder is named for what it holds, not " + path.Base(folder)})
		}
	}
	return found
}

// parts are the six folders of the tree.
var parts = []string{"agent", "broker", "installer", "proto", "reader", "scripts"}

// beside is all that may stand beside the six folders.
var beside = []string{
	".ci", ".editorconfig", ".gitattributes", ".gitignore", "CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md",
	"LICENSE", "NOTICE", "README.md", "SECURITY.md", "go.mod", "go.sum",
}

func topLevel(tree *Tree) []Breach {
	var found []Breach
	seen := map[string]bool{}
	check := func(name string) {
		top, _, _ := strings.Cut(name, "/")
		if !seen[top] && !slices.Contains(parts, top) && !slices.Contains(beside, top) {
			found = append(found, Breach{top, 0, "does not belong at the top level"})
		}
		seen[top] = true
	}
	for _, folder := range tree.Folders {
		check(folder)
	}
	for _, file := range tree.Files {
		check(file.Path)
	}
	return found
}

func partReadmes(tree *Tree) []Breach {
	has := map[string]bool{}
	for _, file := range tree.Files {
		if path.Base(file.Path) == "README.md" {
			has[file.Folder()] = true
		}
	}
	var found []Breach
	for _, folder := range tree.Folders {
		if slices.Contains(parts, folder) && !has[folder] {
			found = append(found, Breach{folder, 0, "the part has no README.md"})
		}
	}
	return found
}

// The words and names below are put together from pieces, so that this file keeps the rules that it states.
var (
	openEnd = regexp.MustCompile(`\b(` + strings.Join([]string{"TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"}, "|") + `)\b`)

	machinePath = regexp.MustCompile(`(^|[^A-Za-z0-9_.*}-])(/wo` + `rk/|/ro` + `ot/|/ho` + `me/|/tmp/` + `tl\b)`)

	registryHost = regexp.MustCompile(strings.Join([]string{
		`proxy\.` + `golang\.org`, `sum\.` + `golang\.org`, `(deb|security)\.` + `debian\.org`, `archive\.` + `ubuntu\.com`,
		`registry\.` + `npmjs\.org`, `files\.` + `pythonhosted\.org`, `pypi\.` + `org`, `static\.` + `crates\.io`,
	}, "|"))

	workNotes = regexp.MustCompile(`\b(DES` + `IGN|ST` + `YLE|DEVEL` + `OPERS)\.md\b|shared/` + `notes`)
)

func openEnds(tree *Tree) []Breach {
	return tree.eachLine(func(_ *File, line string) string {
		if word := openEnd.FindString(line); word != "" {
			return fmt.Sprintf("%s: do it now, or write an issue", word)
		}
		return ""
	})
}

func machineNames(tree *Tree) []Breach {
	return tree.eachLine(func(_ *File, line string) string {
		for _, pattern := range []*regexp.Regexp{machinePath, registryHost, workNotes} {
			if name := pattern.FindString(line); name != "" {
				return fmt.Sprintf("names something of one machine: %s", strings.TrimSpace(name))
			}
		}
		return ""
	})
}

// eachLine calls check for every line of every text file but go.sum, whose hashes may spell anything.
func (t *Tree) eachLine(check func(file *File, line string) string) []Breach {
	var found []Breach
	for _, file := range t.Files {
		if path.Base(file.Path) == "go.sum" {
			continue
		}
		number := 0
		for line := range strings.Lines(file.Text) {
			number++
			if says := check(file, line); says != "" {
				found = append(found, Breach{file.Path, number, says})
			}
		}
	}
	return found
}
