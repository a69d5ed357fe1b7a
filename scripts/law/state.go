package law

import (
	"go/ast"
	"go/token"
)

// allowedState lists package variables that may change, as "folder.name", with the reason why there is no other way.
var allowedState = map[string]string{}

// packageState finds package variables that hold mutable state: locks, atomics, channels, pointers and made maps, and any
// variable at all that its package assigns to. A map or slice that is only ever read is a table, and fine.
func packageState(tree *Tree) []Breach {
	written := map[string]bool{}
	tree.eachGo(func(file *File) []Breach {
		if !file.Test() {
			for _, name := range writtenNames(file.Go) {
				written[file.Folder()+"."+name] = true
			}
		}
		return nil
	})
	return tree.eachGo(func(file *File) []Breach {
		if file.Test() {
			return nil
		}
		var found []Breach
		for _, variable := range packageVariables(file.Go) {
			key := file.Folder() + "." + variable.name.Name
			says := variable.mutable()
			if written[key] {
				says = "is changed by its package"
			}
			if says != "" && allowedState[key] == "" {
				found = append(found, Breach{file.Path, tree.line(variable.name), "package variable " +
					variable.name.Name + " " + says + ": make it a field of what New returns"})
			}
		}
		return found
	})
}

// variable is one package-level variable with what the source says about its type.
type variable struct {
	name   *ast.Ident
	typing ast.Expr // nil where there is none
	value  ast.Expr // nil where there is none
}

func packageVariables(file *ast.File) []variable {
	var all []variable
	for _, declaration := range file.Decls {
		group, is := declaration.(*ast.GenDecl)
		if !is || group.Tok != token.VAR {
			continue
		}
		for _, spec := range group.Specs {
			values := spec.(*ast.ValueSpec)
			for i, name := range values.Names {
				if name.Name == "_" {
					continue
				}
				one := variable{name: name, typing: values.Type}
				if i < len(values.Values) {
					one.value = values.Values[i]
				}
				all = append(all, one)
			}
		}
	}
	return all
}

// mutable says in what way the variable is made to change; "" when nothing says so.
func (v variable) mutable() string {
	if says := mutableType(v.typing); says != "" && v.value == nil {
		return says
	}
	switch value := v.value.(type) {
	case *ast.UnaryExpr:
		if value.Op == token.AND {
			return "is a pointer"
		}
	case *ast.CallExpr:
		if name, is := value.Fun.(*ast.Ident); is && (name.Name == "make" || name.Name == "new") {
			return "is made to be filled"
		}
	case *ast.CompositeLit:
		return mutableLock(value.Type)
	}
	return mutableLock(v.typing)
}

func mutableType(expression ast.Expr) string {
	switch expression.(type) {
	case *ast.MapType, *ast.ArrayType, *ast.ChanType, *ast.StarExpr, *ast.FuncType:
		return "has no value and so is meant to be set later"
	}
	return mutableLock(expression)
}

func mutableLock(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.IndexExpr:
		return mutableLock(e.X)
	case *ast.SelectorExpr:
		if name, is := e.X.(*ast.Ident); is && (name.Name == "sync" || name.Name == "atomic") {
			return "is a lock or an atomic"
		}
	case *ast.StructType:
		for _, field := range e.Fields.List {
			if says := mutableLock(field.Type); says != "" {
				return says
			}
		}
	}
	return ""
}

// writtenNames lists the package-level names that a file assigns to, writes through, clears or takes the address of.
func writtenNames(file *ast.File) []string {
	scope := scopeOf(file)
	var names []string
	add := func(expressions ...ast.Expr) {
		for _, expression := range expressions {
			if name := scope.packageName(expression); name != "" {
				names = append(names, name)
			}
		}
	}
	for node := range ast.Preorder(file) {
		switch n := node.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				add(n.Lhs...)
			}
		case *ast.IncDecStmt:
			add(n.X)
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				add(n.X)
			}
		case *ast.CallExpr:
			if called, is := n.Fun.(*ast.Ident); is && (called.Name == "delete" || called.Name == "clear") {
				add(n.Args...)
			}
		}
	}
	return names
}

// scope knows which declarations of a file stand at package level.
type scope map[any]bool

func scopeOf(file *ast.File) scope {
	known := scope{}
	for _, declaration := range file.Decls {
		if group, is := declaration.(*ast.GenDecl); is {
			for _, spec := range group.Specs {
				known[spec] = true
			}
		}
	}
	return known
}

// packageName is the package-level name that an expression starts from; "" where it starts from a local one.
func (s scope) packageName(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.ParenExpr:
		return s.packageName(e.X)
	case *ast.IndexExpr:
		return s.packageName(e.X)
	case *ast.SelectorExpr:
		return s.packageName(e.X)
	case *ast.Ident:
		// A name that the parser could not resolve is declared in another file of the package, or is an import.
		if e.Obj == nil || s[e.Obj.Decl] {
			return e.Name
		}
	}
	return ""
}
