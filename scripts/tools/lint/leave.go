package main

import (
	"go/ast"
	"go/token"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// leaveOut makes an analyzer keep quiet about generated code, and about an unchecked error where checking it says nothing: in a
// deferred call, which has nobody to tell (what must be durable is closed by name), and in tests.
func leaveOut(one *analysis.Analyzer) {
	original := one.Run
	one.Run = func(pass *analysis.Pass) (any, error) {
		report := pass.Report
		pass.Report = func(finding analysis.Diagnostic) {
			file := fileOf(pass, finding.Pos)
			if file != nil && (ast.IsGenerated(file) || (one.Name == "errcheck" && pointless(pass, file, finding.Pos))) {
				return
			}
			report(finding)
		}
		return original(pass)
	}
}

func fileOf(pass *analysis.Pass, at token.Pos) *ast.File {
	for _, file := range pass.Files {
		if file.FileStart <= at && at <= file.FileEnd {
			return file
		}
	}
	return nil
}

// pointless says whether an unchecked error stands in a test or in a deferred call.
func pointless(pass *analysis.Pass, file *ast.File, at token.Pos) bool {
	if strings.HasSuffix(pass.Fset.Position(at).Filename, "_test.go") {
		return true
	}
	for node := range ast.Preorder(file) {
		if call, is := node.(*ast.DeferStmt); is && call.Pos() <= at && at <= call.End() {
			_, closure := call.Call.Fun.(*ast.FuncLit)
			return !closure
		}
	}
	return false
}
