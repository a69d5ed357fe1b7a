package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"tapline/proto/record"
	"tapline/proto/record/evidence"
)

// find lists the chains at all paths, each once.
func find(paths []string) ([]evidence.Chain, error) {
	var chains []evidence.Chain
	for _, path := range paths {
		found, err := evidence.Open(path)
		switch {
		case errors.Is(err, evidence.ErrNone):
			return nil, hint(err, "give the folder of an export (it holds trust.json and stations/) or of a station's journal (it holds records/)")
		case errors.Is(err, evidence.ErrIrregular):
			return nil, hint(err, "nobody can vouch for what it hides: ask for the evidence again, without it")
		case errors.Is(err, fs.ErrNotExist):
			return nil, hint(err, "check the path for a typing error")
		case errors.Is(err, fs.ErrPermission):
			return nil, hint(err, "run it as the user who owns the evidence, or on a copy")
		case err != nil:
			return nil, hint(err, "give a folder that can be read")
		}
		chains = append(chains, found...)
	}
	return slices.CompactFunc(chains, func(a, b evidence.Chain) bool { return a.Dir == b.Dir }), nil
}

// trustOf is the pinned keys; nil for none, to believe what the evidence brings.
func trustOf(keys []string) (*record.Trust, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	t := record.Trust{V: record.Version}
	for _, s := range keys {
		k, err := record.ParsePublicKey(s)
		if err != nil {
			return nil, hint(fmt.Errorf("--trust-key %q: %w", s, err), "ask the broker's operator for the evidence key by another way than the evidence")
		}
		t.Keys = append(t.Keys, record.EvidenceKey{Key: k})
	}
	return &t, nil
}

// check verifies and turns what the machine could not read into a hint.
func check(ctx context.Context, chains []evidence.Chain, o evidence.Options) ([]evidence.Finding, error) {
	findings, err := evidence.Verify(ctx, chains, o)
	switch {
	case errors.Is(err, context.Canceled):
		return nil, hint(errors.New("interrupted"), "nothing was changed; run it again")
	case err != nil:
		return nil, hint(err, "run it as the user who owns the evidence, or on a copy")
	}
	return findings, nil
}

// firstFault is what a report leads with; nil when all is good.
func firstFault(findings []evidence.Finding) *record.Fault {
	for _, f := range findings {
		if f.Fault != nil {
			return f.Fault
		}
	}
	return nil
}
