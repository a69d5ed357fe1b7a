package law

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// reach says what a folder and all below it may import of ours, beside itself. The longest match decides.
// An empty folder name stands for any folder.
var reach = []struct {
	folder string
	alone  bool // not even its own part beside itself
	may    []string
}{
	{folder: "proto"},
	{folder: "reader"},
	{folder: "agent", may: []string{"proto", "reader", "installer/osservice"}},
	{folder: "broker", may: []string{"proto", "installer/osservice"}},
	// The auditor's tool must not trust the broker that it audits, so it shares no code with it.
	{folder: "broker/cmd/tapaudit", alone: true, may: []string{"proto"}},
	{folder: "installer", may: []string{"proto", "reader", "agent", "broker"}},
	{folder: "installer/osservice", alone: true},
	{folder: "scripts", may: []string{"proto", "reader", "agent", "broker", "installer"}},
}

func partImports(tree *Tree) []Breach {
	return eachImport(tree, func(file *File, imported string) string {
		target, ours := strings.CutPrefix(imported, module+"/")
		if !ours || within(file.Folder(), toolsModule) {
			return ""
		}
		return refuseImport(file.Folder(), target)
	})
}

// refuseImport says why a folder may not import another folder of ours; "" when it may.
func refuseImport(folder, target string) string {
	home, may, known := "", []string(nil), false
	for _, rule := range reach {
		if within(folder, rule.folder) && len(rule.folder) > len(home) {
			home, may, known = rule.folder, rule.may, true
			if !rule.alone {
				home, _, _ = strings.Cut(rule.folder, "/")
			}
		}
	}
	switch {
	case !known:
		return fmt.Sprintf("folder %s has no line in the import law", folder)
	case within(target, home), within(target, may...):
		return ""
	case len(may) == 0:
		return fmt.Sprintf("%s may import nothing else of ours, but imports %s", home, target)
	}
	return fmt.Sprintf("%s may import %s only, but imports %s", home, strings.Join(may, ", "), target)
}

// eachImport calls check for every import of every Go file, generated ones too; a reply of "" means nothing is wrong.
func eachImport(tree *Tree, check func(file *File, imported string) string) []Breach {
	var found []Breach
	for _, file := range tree.Files {
		if file.Go == nil {
			continue
		}
		for _, spec := range file.Go.Imports {
			if says := check(file, strings.Trim(spec.Path.Value, `"`)); says != "" {
				found = append(found, Breach{file.Path, tree.line(spec), says})
			}
		}
	}
	return found
}

// standard says whether an import path belongs to Go's standard library: its first element has no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// pure are the packages, without those below them, that take events and a clock and return values. Their tests may do as they like.
var pure = []string{"agent/session", "broker/policy", "broker/shift", "proto/record", "reader/apdu", "reader/wiegand"}

// worldly are the standard packages that reach outside the process.
var worldly = []string{"os", "net", "syscall", "log"}

func pureCores(tree *Tree) []Breach {
	isPure := func(file *File) bool {
		return !file.Test() && slices.Contains(pure, file.Folder())
	}
	found := eachImport(tree, func(file *File, imported string) string {
		if isPure(file) && within(imported, worldly...) && imported != path.Join("net", "netip") {
			return "a pure package may not import " + imported
		}
		return ""
	})
	return append(found, tree.eachCall(func(file *File, _ *ast.SelectorExpr, called string) string {
		if !isPure(file) {
			return ""
		}
		switch called {
		case "time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc", "time.NewTimer",
			"time.NewTicker", "time.Tick":
			return "a pure package takes the time as an argument; it may not use " + called
		}
		return ""
	})...)
}
