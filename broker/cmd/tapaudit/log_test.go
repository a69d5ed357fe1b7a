package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tapline/proto/checkpoint"
	"tapline/proto/record"
	"tapline/proto/record/evidence"
)

// origin names the log of the scripts.
const origin = "oslo/tapline/log/00000000"

// testKey is a key of the test vectors: they are public.
func testKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("tapline test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func logKey() checkpoint.Key {
	return checkpoint.LogKey(origin, testKey("log").Public().(ed25519.PublicKey))
}

// earlierSize is the size of the checkpoint that an auditor of the scripts saw before.
const earlierSize = 20

// addLog puts a log into ./evidence as a broker exports it: the records of all chains in turn, with as many between that are of stations that are not in
// the export. Beside it go earlier.checkpoint, which the log continues, forked.checkpoint, which it does not, and a proof of the record in record.json.
func addLog(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: addlog")
	}
	dir := ts.MkAbs("evidence")
	tree := newTestTree()
	chains, err := evidence.Open(dir)
	ts.Check(err)
	of := make([][][]byte, len(chains))
	longest := 0
	for i, c := range chains {
		for raw, err := range c.Records() {
			ts.Check(err)
			of[i] = append(of[i], append([]byte(nil), raw...))
		}
		longest = max(longest, len(of[i]))
	}
	lists := make([]strings.Builder, len(chains))
	var set []uint64
	for n := range longest {
		tree.add([]byte(fmt.Sprintf("of another station, %d", n)))
		for i := range chains {
			if n >= len(of[i]) {
				continue
			}
			index := tree.add(of[i][n])
			set = append(set, index)
			leaf := checkpoint.Leaf{Index: index, Hash: checkpoint.LeafHash(of[i][n])}
			fmt.Fprintln(&lists[i], leaf)
		}
	}
	for i, c := range chains {
		ts.Check(os.WriteFile(filepath.Join(c.Dir, evidence.LeavesFile), []byte(lists[i].String()), 0o600))
	}
	signed := tree.sign(ts, tree.Size(), nil)
	write := func(name string, b []byte) { ts.Check(os.WriteFile(ts.MkAbs(name), b, 0o600)) }
	ts.Check(os.MkdirAll(filepath.Join(dir, evidence.LogDir), 0o700))
	in := func(name string) string { return filepath.Join("evidence", evidence.LogDir, name) }
	st := record.LogStatement{
		V: record.Version, Origin: origin, Key: record.PublicKeyOf(testKey("log")), From: time.Date(2026, 11, 22, 5, 30, 0, 0, time.UTC),
	}
	statement, err := record.SignStatement(record.LogPayloadType, &st, testKey("broker"))
	ts.Check(err)
	write(in(evidence.LogStatementFile), statement.Bytes())
	write(in(evidence.CheckpointFile), signed)
	var between strings.Builder
	ts.Check(tree.reader().ProveSet(tree.Size(), func(from uint64) (uint64, bool) {
		for _, i := range set {
			if i >= from {
				return i, true
			}
		}
		return 0, false
	}, func(h checkpoint.Hash) error { _, err := fmt.Fprintln(&between, h); return err }))
	write(in(evidence.BetweenFile), []byte(between.String()))
	way, err := tree.reader().ProveConsistency(earlierSize, tree.Size())
	ts.Check(err)
	write(in(evidence.ConsistencyFile), checkpoint.Extension{Old: earlierSize, Path: way, Checkpoint: signed}.Text())
	write("earlier.checkpoint", tree.sign(ts, earlierSize, nil))
	write("forked.checkpoint", tree.sign(ts, earlierSize, []byte("another history")))
	write("longer.checkpoint", tree.sign(ts, tree.Size()+1, []byte("another history")))
	path, err := tree.reader().ProveInclusion(tree.Size(), set[0])
	ts.Check(err)
	write("record.tlog-proof", checkpoint.Proof{Index: set[0], Path: path, Checkpoint: signed}.Text())
	write("record.json", of[0][0])
	line, err := checkpoint.Cosign(tree.head(ts, tree.Size()), "witness.example", testKey("witness"), time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC))
	ts.Check(err)
	write("cosigned.checkpoint", append(signed, line...))
}

// testTree is a log in memory.
type testTree struct {
	*checkpoint.Builder
	tiles map[string][]byte
}

func newTestTree() *testTree {
	b, err := checkpoint.NewBuilder(0, nil)
	if err != nil {
		panic(err)
	}
	return &testTree{b, map[string][]byte{}}
}

func (t *testTree) add(data []byte) uint64 {
	index := t.Size()
	t.Append(checkpoint.LeafHash(data))
	for _, tile := range t.Take() {
		t.tiles[fmt.Sprint(tile.Level, tile.Index)] = tile.Hashes
	}
	return index
}

func (t *testTree) reader() *checkpoint.Reader {
	return checkpoint.NewReader(func(level int, index uint64) ([]byte, error) { return t.tiles[fmt.Sprint(level, index)], nil })
}

func (t *testTree) head(ts *testscript.TestScript, size uint64) checkpoint.Checkpoint {
	root, err := t.reader().Root(size)
	ts.Check(err)
	return checkpoint.Checkpoint{Origin: origin, Size: size, Root: root}
}

// sign signs the head of a size; another history has another root.
func (t *testTree) sign(ts *testscript.TestScript, size uint64, history []byte) []byte {
	c := checkpoint.Checkpoint{Origin: origin, Size: size, Root: checkpoint.LeafHash(history)}
	if history == nil {
		c = t.head(ts, size)
	}
	signed, err := checkpoint.Sign(c, testKey("log"))
	ts.Check(err)
	return signed
}

// forgedChain is the chain that rewrite writes anew.
const forgedChain = "stations/oslo/packing/line-1/hmi-2"

// rewrite writes the records of a station anew, as somebody can who has its keys and the broker's: the people are others, every signature is right.
func rewrite(ts *testscript.TestScript, _ bool, _ []string) {
	c := chainAt(ts, forgedChain)
	e, err := c.Statement()
	ts.Check(err)
	st, err := record.ReadStation(e)
	ts.Check(err)
	chain := record.NewChain(st)
	var out strings.Builder
	for raw, err := range c.Records() {
		ts.Check(err)
		old, err := record.ReadEntry(raw)
		ts.Check(err)
		p := old.Payload
		key := testKey(fmt.Sprintf("%s epoch %d", p.Chain, p.Epoch))
		p.Time.Wall = p.Time.Wall.Add(time.Second)
		if p.Person != "" {
			p.Person = "p-1003"
		}
		var next record.Envelope
		if p.Seal != nil {
			next, err = chain.Seal(record.Payload{Time: p.Time}, key, p.Seal.Next)
		} else {
			next, err = chain.Next(p, key)
		}
		ts.Check(err)
		ts.Check(chain.Commit(next))
		fmt.Fprintf(&out, "%s\n", next.Bytes())
	}
	ts.Check(os.WriteFile(filepath.Join(c.Dir, evidence.RecordsFile), []byte(out.String()), 0o600))
	e, err = c.Receipt()
	ts.Check(err)
	r, err := record.ReadReceipt(e)
	ts.Check(err)
	again := record.NewReceipt(chain.Head(), r.BrokerTime, "")
	receipt, err := record.SignStatement(record.ReceiptPayloadType, &again, testKey("broker"))
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(c.Dir, evidence.ReceiptFile), receipt.Bytes(), 0o600))
}

// relist makes the list of leaves fit the records that were written anew.
func relist(ts *testscript.TestScript, _ bool, _ []string) {
	c := chainAt(ts, forgedChain)
	path := filepath.Join(c.Dir, evidence.LeavesFile)
	b, err := os.ReadFile(path)
	ts.Check(err)
	lines := strings.Split(string(b), "\n")
	i := 0
	for raw, err := range c.Records() {
		ts.Check(err)
		l, err := checkpoint.ParseLeaf(lines[i])
		ts.Check(err)
		l.Hash = checkpoint.LeafHash(raw)
		lines[i] = l.String()
		i++
	}
	ts.Check(os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
}

func chainAt(ts *testscript.TestScript, name string) evidence.Chain {
	chains, err := evidence.Open(ts.MkAbs(filepath.Join("evidence", filepath.FromSlash(name))))
	ts.Check(err)
	return chains[0]
}
