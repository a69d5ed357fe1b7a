package law

import (
	"fmt"
	"go/ast"
	"strings"
)

// The usual file has 75 to 175 lines and the usual function about ten; these limits only catch the tail.
const (
	longestFile     = 400
	longestFunction = 80
)

func sizes(tree *Tree) []Breach {
	return tree.eachGo(func(file *File) []Breach {
		if file.Test() {
			return nil
		}
		var found []Breach
		if lines := strings.Count(file.Text, "\n"); lines > longestFile {
			found = append(found, Breach{file.Path, 0, fmt.Sprintf("%d lines; %d at most", lines, longestFile)})
		}
		for _, declaration := range file.Go.Decls {
			function, is := declaration.(*ast.FuncDecl)
			if !is || tree.lines(function) <= longestFunction {
				continue
			}
			found = append(found, Breach{
				file.Path, tree.line(function),
				fmt.Sprintf("%s has %d lines; %d at most", function.Name.Name, tree.lines(function), longestFunction),
			})
		}
		return found
	})
}
