package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tapline/proto/checkpoint"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tapaudit": func() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// vectors is the golden evidence of the record format.
const vectors = "../../../proto/record/testdata/vectors"

// The scripts in testdata are the manual: each shows one thing that an auditor does.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs(vectors)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("GOOD", filepath.Join(root, "good"))
			key, err := evidenceKey(filepath.Join(root, "good", "trust.json"))
			e.Setenv("KEY", key)
			e.Setenv("LOGKEY", logKey().String())
			e.Setenv("OTHERLOGKEY", checkpoint.LogKey(origin, testKey("forger").Public().(ed25519.PublicKey)).String())
			e.Setenv("WITNESS", checkpoint.WitnessKey("witness.example", testKey("witness").Public().(ed25519.PublicKey)).String())
			return errors.Join(err, os.CopyFS(filepath.Join(e.WorkDir, "evidence"), os.DirFS(filepath.Join(root, "good"))))
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"tamper": tamper(root), "addlog": addLog, "rewrite": rewrite, "relist": relist,
			"restore": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Check(os.RemoveAll(ts.MkAbs("evidence")))
				ts.Check(os.CopyFS(ts.MkAbs("evidence"), os.DirFS(filepath.Join(root, "good"))))
			},
		},
	})
}

func evidenceKey(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var trust struct{ Keys []struct{ Key string } }
	if err := json.Unmarshal(b, &trust); err != nil {
		return "", err
	}
	return trust.Keys[0].Key, nil
}

// tamper NAME makes the bad evidence NAME of the test vectors out of the good in ./evidence.
func tamper(root string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: tamper NAME")
		}
		from := filepath.Join(root, "bad", args[0])
		b, err := os.ReadFile(filepath.Join(from, "expect.json"))
		ts.Check(err)
		var expect struct{ Without []string }
		ts.Check(json.Unmarshal(b, &expect))
		for _, name := range expect.Without {
			ts.Check(os.Remove(ts.MkAbs(filepath.Join("evidence", filepath.FromSlash(name)))))
		}
		ts.Check(overlay(from, ts.MkAbs("evidence")))
	}
}

func overlay(from, to string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "expect.json" {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o750); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), b, 0o600)
	})
}
