package checkpoint

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// keyOf is a key for tests.
func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("tapline test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// signedAt is a signed checkpoint of a size.
func signedAt(t testing.TB, size uint64) []byte {
	t.Helper()
	b, err := Sign(Checkpoint{Origin: "oslo/tapline/log", Size: size, Root: LeafHash([]byte("x"))}, keyOf("log"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The law of all texts: what parses prints back to the same bytes.
func FuzzTextsHaveOneSpelling(f *testing.F) {
	signed := string(signedAt(f, 7))
	hash := LeafHash(nil).String()
	for _, s := range []string{
		"oslo/tapline/log\n7\n" + hash + "\n", "oslo\n0\n" + EmptyRoot().String() + "\nextension\n", "oslo\n07\n" + hash + "\n",
		proofHeader + "\nindex 5\n" + hash + "\n\n" + signed, proofHeader + "\nextra YQ==\nindex 0\n\n" + signed,
		"old 3\n" + hash + "\n\n" + signed, "old 0\n\n" + signed,
		"tile/0/000", "tile/3/x001/x234/067.p/5", "tile/entries/x001/234", "tile/00/000", "tile/0/x000/001", "tile/0/000.p/256",
		LogKey("oslo", public(keyOf("log"))).String(), WitnessKey("w.example/1", public(keyOf("w"))).String(),
		signed, "17 " + hash,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(what, again string, err error) {
			if err == nil && again != string(b) {
				t.Errorf("%s: %q was read and is written %q", what, b, again)
			}
		}
		c, err := Parse(string(b))
		same("checkpoint", c.Text(), err)
		p, err := ParseProof(b)
		same("proof", string(p.Text()), err)
		e, err := ParseExtension(b)
		same("extension", string(e.Text()), err)
		l, err := ParseLeaf(string(b))
		same("leaf", l.String(), err)
		tile, err := ParseTile(string(b))
		same("tile", tile.Path(), err)
		if k, err := ParseKey(string(b)); err == nil {
			same("key", k.String(), err)
		}
		if c, err := Read(b); err == nil && !strings.HasPrefix(string(b), c.Text()+"\n") {
			t.Errorf("%q was read as %q", b, c.Text())
		}
		_, _ = Open(b, LogKey("oslo/tapline/log", public(keyOf("log"))), WitnessKey("w", public(keyOf("w"))))
	})
}

func TestACheckpointIsANoteThatOthersVerify(t *testing.T) {
	signed := signedAt(t, 7)
	k := LogKey("oslo/tapline/log", public(keyOf("log")))
	v, err := note.NewVerifier(k.String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil || len(n.Sigs) != 1 || !strings.HasPrefix(n.Text, "oslo/tapline/log\n7\n") {
		t.Errorf("got %+v, %v", n, err)
	}
	again, err := ParseKey(k.String())
	if err != nil || again.KeyHash() != v.KeyHash() || again.Name() != v.Name() || !again.IsLog() {
		t.Errorf("got %v, %v", again, err)
	}
	// The key in the documentation of package note.
	if _, err := ParseKey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"); err != nil {
		t.Error(err)
	}
	if _, err := ParseKey("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"); err == nil {
		t.Error("a key with a wrong hash was taken")
	}
}

func TestCosignaturesAreFoundByTheirKeyAndCheckedWithTheirTime(t *testing.T) {
	log, witness, other := LogKey("oslo/tapline/log", public(keyOf("log"))), WitnessKey("w.example/1", public(keyOf("w"))), WitnessKey("w.example/2", public(keyOf("v")))
	signed := signedAt(t, 7)
	c, err := Read(signed)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC)
	line, err := Cosign(c, witness.Name(), keyOf("w"), at)
	if err != nil {
		t.Fatal(err)
	}
	// As a witness answers: to be put under the checkpoint.
	found, err := Cosignatures(c, line, witness, other)
	if err != nil || len(found) != 1 || !found[0].At.Equal(at) || !bytes.Equal(found[0].Line, line) || found[0].Witness.Name() != witness.Name() {
		t.Fatalf("got %+v, %v", found, err)
	}
	s, err := Open(append(signed, line...), log, other, witness)
	if err != nil || len(s.Cosignatures) != 1 || s.Cosignatures[0].Witness.Name() != witness.Name() || s.Size != 7 {
		t.Errorf("got %+v, %v", s, err)
	}
	if s, err := Open(append(signed, line...), log, other); err != nil || len(s.Cosignatures) != 0 {
		t.Errorf("a witness that nobody knows: %+v, %v", s, err)
	}
	// A cosignature for another checkpoint, or by another key under the name.
	c.Size++
	if _, err := Cosignatures(c, line, witness); err == nil {
		t.Error("a cosignature was taken for another checkpoint")
	}
	forged := WitnessKey(witness.Name(), public(keyOf("forger")))
	if found, err := Cosignatures(c, line, forged); err == nil {
		t.Errorf("a cosignature was taken for another key's: %+v", found)
	}
	// A witness's signature is none of the log, and the other way round.
	if _, err := Open(append([]byte(s.Text()+"\n"), line...), log, witness); !errors.Is(err, ErrForged) {
		t.Errorf("a checkpoint without the log's signature: %v", err)
	}
}

func TestACheckpointOfAnotherKeyOrOriginIsForged(t *testing.T) {
	signed := signedAt(t, 7)
	for name, k := range map[string]Key{
		"another key":          LogKey("oslo/tapline/log", public(keyOf("forger"))),
		"another origin":       LogKey("bergen/tapline/log", public(keyOf("log"))),
		"a witness of the key": WitnessKey("oslo/tapline/log", public(keyOf("log"))),
	} {
		if _, err := Open(signed, k); !errors.Is(err, ErrForged) {
			t.Errorf("%s: %v, want ErrForged", name, err)
		}
	}
	for i := range signed {
		changed := bytes.Clone(signed)
		changed[i] ^= 1
		s, err := Open(changed, LogKey("oslo/tapline/log", public(keyOf("log"))))
		if err == nil && s.Text() != string(signed[:len(s.Text())]) {
			t.Errorf("byte %d was changed and nobody saw it", i)
		}
	}
}

func TestWhatCannotBeReadAgainIsNotSigned(t *testing.T) {
	for _, c := range []Checkpoint{
		{Origin: "", Size: 1},
		{Origin: "a b", Size: 1},
		{Origin: "a+b", Size: 1},
		{Origin: "a", Size: MaxSize + 1},
		{Origin: "a", Size: 0},
		{Origin: "a", Size: 1, Extension: []string{""}},
	} {
		if b, err := Sign(c, keyOf("log")); err == nil {
			t.Errorf("%+v was signed: %q", c, b)
		}
	}
}
