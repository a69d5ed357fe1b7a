package law

import (
	"os"
	"testing"
)

// TestTree runs every rule over the tree that this package stands in.
func TestTree(t *testing.T) {
	tree, err := Read(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Files) < 10 {
		t.Fatalf("only %d files read: this is not the tree", len(tree.Files))
	}
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			for _, breach := range rule.Check(tree) {
				t.Errorf("%s", breach)
			}
			if t.Failed() {
				t.Logf("why: %s", rule.Why)
			}
		})
	}
}
