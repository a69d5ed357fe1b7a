package law

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// module is the path under which the parts import each other.
const module = "tapline"

// toolsModule is the folder of the module that holds the project's tools; its imports are its own business.
const toolsModule = "scripts/tools"

// Tree is the source tree as the rules see it.
type Tree struct {
	// Files are all text files in path order.
	Files []*File
	// Folders are all folders below the root, in path order.
	Folders []string

	fset *token.FileSet
}

// File is one text file.
type File struct {
	// Path is relative to the root, with forward slashes.
	Path string
	// Text is the content.
	Text string
	// Go is the syntax tree with comments; nil where the file is not Go.
	Go *ast.File
	// Generated says that the file carries Go's "generated code" line.
	Generated bool
}

// Test says whether the file is compiled into tests only.
func (f *File) Test() bool { return strings.HasSuffix(f.Path, "_test.go") }

// Folder is the folder of the file, "." at the root.
func (f *File) Folder() string { return path.Dir(f.Path) }

// Part is the first folder of the path: agent, broker, installer, proto, reader or scripts. It is "" at the root.
func (f *File) Part() string {
	part, _, found := strings.Cut(f.Path, "/")
	if !found {
		return ""
	}
	return part
}

// Read loads a tree. It skips what git never tracks here: its own folder and the output folders at the root.
func Read(root fs.FS) (*Tree, error) {
	tree := &Tree{fset: token.NewFileSet()}
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return tree.addFolder(name)
		}
		if !entry.Type().IsRegular() || slices.Contains(outputs, name) {
			return nil
		}
		return tree.addFile(root, name)
	})
	if err != nil {
		return nil, fmt.Errorf("read tree: %w", err)
	}
	return tree, nil
}

// outputs are the names at the root that hold what a build makes.
var outputs = []string{".git", "bin", "dist", ".cache"}

func (t *Tree) addFolder(name string) error {
	if slices.Contains(outputs, name) {
		return fs.SkipDir
	}
	if name != "." {
		t.Folders = append(t.Folders, name)
	}
	return nil
}

func (t *Tree) addFile(root fs.FS, name string) error {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if bytes.IndexByte(text[:min(len(text), 8000)], 0) >= 0 {
		return nil
	}
	file := &File{Path: name, Text: string(text)}
	if strings.HasSuffix(name, ".go") && !strings.Contains(name, "testdata/") {
		if file.Go, err = parser.ParseFile(t.fset, name, text, parser.ParseComments); err != nil {
			return fmt.Errorf("parse: %w", err)
		}
		file.Generated = ast.IsGenerated(file.Go)
	}
	t.Files = append(t.Files, file)
	return nil
}

// line is the line that a node starts on.
func (t *Tree) line(node ast.Node) int { return t.fset.Position(node.Pos()).Line }

// lines is the number of lines that a node covers.
func (t *Tree) lines(node ast.Node) int {
	return t.fset.Position(node.End()).Line - t.line(node) + 1
}

// eachGo calls check for every Go file that a person wrote and collects what it finds.
func (t *Tree) eachGo(check func(*File) []Breach) []Breach {
	var found []Breach
	for _, file := range t.Files {
		if file.Go != nil && !file.Generated {
			found = append(found, check(file)...)
		}
	}
	return found
}

// eachNode calls check for every syntax node of every Go file that a person wrote; a reply of "" means nothing is wrong.
func (t *Tree) eachNode(check func(*File, ast.Node) string) []Breach {
	return t.eachGo(func(file *File) []Breach {
		var found []Breach
		for node := range ast.Preorder(file.Go) {
			if says := check(file, node); says != "" {
				found = append(found, Breach{file.Path, t.line(node), says})
			}
		}
		return found
	})
}

// within says whether a folder is one of the given folders or lies below one.
func within(folder string, homes ...string) bool {
	return slices.ContainsFunc(homes, func(home string) bool {
		return folder == home || strings.HasPrefix(folder, home+"/")
	})
}
