package law

import (
	"go/ast"
	"go/token"
	"strings"
)

// shortestDoc is the least number of characters in which a package can say what it is, who calls it and what it never does.
const shortestDoc = 120

func packageDocs(tree *Tree) []Breach {
	longest := map[string]int{}
	place := map[string]*File{}
	for _, file := range tree.Files {
		if file.Go == nil {
			continue
		}
		name := file.Folder()
		if _, seen := place[name]; !seen || place[name].Test() {
			place[name] = file
		}
		longest[name] = max(longest[name], len(file.Go.Doc.Text()))
	}
	var found []Breach
	for _, folder := range append([]string{"."}, tree.Folders...) {
		switch length := longest[folder]; {
		case place[folder] == nil || place[folder].Generated:
		case length == 0:
			found = append(found, Breach{place[folder].Path, 0, "the package has no package comment"})
		case length < shortestDoc:
			found = append(found, Breach{
				place[folder].Path, 0,
				"the package comment is too short: say what it is, who calls it and what it never does",
			})
		}
	}
	return found
}

func goStatements(tree *Tree) []Breach {
	return tree.eachNode(func(_ *File, node ast.Node) string {
		if _, is := node.(*ast.GoStmt); is {
			return "bare go statement: start it with errgroup.Group.Go or sync.WaitGroup.Go, so that someone waits for it"
		}
		return ""
	})
}

func initFunctions(tree *Tree) []Breach {
	return tree.eachNode(func(_ *File, node ast.Node) string {
		if function, is := node.(*ast.FuncDecl); is && function.Recv == nil && function.Name.Name == "init" {
			return "init function: build it in New or pass it in"
		}
		return ""
	})
}

func processExits(tree *Tree) []Breach {
	return tree.eachCall(func(file *File, call *ast.SelectorExpr, called string) string {
		if file.Go.Name.Name == "main" || inTestMain(file, call) {
			return ""
		}
		if called == "os.Exit" || strings.HasPrefix(called, "log.Fatal") || strings.HasPrefix(called, "log.Panic") {
			return called + " outside a main package: return an error"
		}
		return ""
	})
}

// inTestMain says whether a node stands in a TestMain function, which is the main of a test binary.
func inTestMain(file *File, node ast.Node) bool {
	if !file.Test() {
		return false
	}
	for _, declaration := range file.Go.Decls {
		function, is := declaration.(*ast.FuncDecl)
		if is && function.Name.Name == "TestMain" && function.Pos() <= node.Pos() && node.End() <= function.End() {
			return true
		}
	}
	return false
}

func testSleeps(tree *Tree) []Breach {
	return tree.eachCall(func(file *File, _ *ast.SelectorExpr, called string) string {
		if called == "time.Sleep" && (file.Test() || (file.Part() != "scripts" && forTests(file))) {
			return "time.Sleep in a test: use testing/synctest, a channel, or a poll with a deadline"
		}
		return ""
	})
}

// skipPrefix starts the message of every skip.
const skipPrefix = "needs: "

func skipReasons(tree *Tree) []Breach {
	found := tree.eachNode(func(file *File, node ast.Node) string {
		call, is := node.(*ast.CallExpr)
		if !is || !forTests(file) {
			return ""
		}
		selector, is := call.Fun.(*ast.SelectorExpr)
		if !is || !testingValue(selector.X) {
			return ""
		}
		switch selector.Sel.Name {
		case "SkipNow":
			return "SkipNow gives no reason: use Skip with a message that starts with \"" + skipPrefix + "\""
		case "Skip", "Skipf":
			if len(call.Args) == 0 || !strings.HasPrefix(leadingText(call.Args[0]), skipPrefix) {
				return "the skip's message must start with \"" + skipPrefix + "\" in the source"
			}
		}
		return ""
	})
	return append(found, scriptSkips(tree)...)
}

// scriptSkips looks at the skip command of script tests.
func scriptSkips(tree *Tree) []Breach {
	return tree.eachLine(func(file *File, line string) string {
		if !strings.HasSuffix(file.Path, ".txtar") {
			return ""
		}
		words := strings.Fields(line)
		for len(words) > 0 && strings.HasPrefix(words[0], "[") {
			words = words[1:]
		}
		if len(words) > 0 && words[0] == "skip" && !strings.Contains(line, "'"+skipPrefix) {
			return "the skip's message must start with '" + skipPrefix + "'"
		}
		return ""
	})
}

// testingValue says whether an expression has one of the names that a *testing.T, B, F or TB goes by.
func testingValue(expression ast.Expr) bool {
	name, is := expression.(*ast.Ident)
	return is && (name.Name == "t" || name.Name == "b" || name.Name == "f" || name.Name == "tb")
}

// leadingText is the literal text that a string expression starts with.
func leadingText(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			return strings.Trim(e.Value, "\"`")
		}
	case *ast.BinaryExpr:
		return leadingText(e.X)
	}
	return ""
}

// eachCall calls check for every mention of a package's function, as "os.Exit"; a reply of "" means nothing is wrong.
// A mention counts as much as a call: the function could be passed on.
func (t *Tree) eachCall(check func(file *File, call *ast.SelectorExpr, called string) string) []Breach {
	return t.eachNode(func(file *File, node ast.Node) string {
		selector, is := node.(*ast.SelectorExpr)
		if !is {
			return ""
		}
		// An identifier that the parser resolved is a variable of the file, not a package.
		if name, is := selector.X.(*ast.Ident); is && name.Obj == nil {
			return check(file, selector, name.Name+"."+selector.Sel.Name)
		}
		return ""
	})
}
