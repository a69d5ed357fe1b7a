package broker

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapline/broker/tlog"
	"tapline/broker/vault"
	"tapline/installer/osservice"
	"tapline/proto/checkpoint"
	"tapline/proto/record"
	"tapline/proto/record/evidence"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
	"tapline/proto/witness"
)

// logKey is the log's key as an auditor learns it, with the evidence key's word for it.
func (p *plant) logKey() checkpoint.Key {
	p.t.Helper()
	r, err := p.audit.GetTrust(p.t.Context(), &taplinev1.GetTrustRequest{})
	p.must(err)
	k, err := checkpoint.ParseKey(r.GetLogKey())
	p.must(err)
	trust, err := record.ParseTrust(r.GetTrust())
	p.must(err)
	e, err := record.ParseEnvelope(r.GetLogStatement())
	p.must(err)
	st, err := trust.Log(e)
	p.must(err)
	if st.Origin != k.Name() || string(st.Key.Ed25519()) != string(k.Ed25519()) || trust.Origin != k.Name() {
		p.t.Errorf("the statement is for %s %s, the key is %s, the trust for %s", st.Origin, st.Key, k, trust.Origin)
	}
	return k
}

// logs waits for a checkpoint that covers so many records.
func (p *plant) logs(size uint64) checkpoint.Signed {
	p.t.Helper()
	var s checkpoint.Signed
	k := p.logKey()
	p.until("a checkpoint of the log", func() bool {
		r, err := p.audit.GetCheckpoint(p.t.Context(), &taplinev1.GetCheckpointRequest{})
		if wire.KindOf(err) == wire.NotFound {
			return false
		}
		p.must(err)
		s, err = checkpoint.Open(r.GetCheckpoint(), k)
		p.must(err)
		return s.Size >= size
	})
	return s
}

// stored is every record that the broker has.
func (p *plant) stored() []*taplinev1.StoredRecord {
	p.t.Helper()
	stream, err := p.audit.QueryRecords(p.t.Context(), &taplinev1.QueryRecordsRequest{})
	p.must(err)
	var all []*taplinev1.StoredRecord
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all
		}
		p.must(err)
		all = append(all, r.GetRecord())
	}
}

func path(p *plant, raw [][]byte) []checkpoint.Hash {
	p.t.Helper()
	all := make([]checkpoint.Hash, len(raw))
	for i, h := range raw {
		all[i] = checkpoint.Hash(h)
	}
	return all
}

func TestEveryRecordIsProvenToBeInTheLog(t *testing.T) {
	p := newPlant(t)
	p.staff() // acts of an administrator are in the log too
	s := p.enrol(press)
	_, err := s.send(1, s.write(20))
	p.must(err)
	all := p.stored()
	head := p.logs(uint64(len(all)))
	for _, r := range p.stored() {
		if r.GetLeafPlusOne() != r.GetCursor() {
			t.Errorf("record %d is at %d of the log", r.GetCursor(), r.GetLeafPlusOne())
		}
		proof, err := p.audit.ProveInclusion(t.Context(), &taplinev1.ProveInclusionRequest{Leaf: r.GetLeafPlusOne() - 1, Size: head.Size})
		p.must(err)
		p.must(checkpoint.CheckInclusion(head.Size, head.Root, r.GetLeafPlusOne()-1, checkpoint.LeafHash(r.GetEnvelope()), path(p, proof.GetPath())))
	}
	_, err = s.send(21, s.write(5))
	p.must(err)
	next := p.logs(head.Size + 5)
	proof, err := p.audit.ProveConsistency(t.Context(), &taplinev1.ProveConsistencyRequest{FromSize: head.Size, ToSize: next.Size})
	p.must(err)
	p.must(checkpoint.CheckConsistency(head.Size, head.Root, next.Size, next.Root, path(p, proof.GetPath())))

	tile, err := p.audit.GetTile(t.Context(), &taplinev1.GetTileRequest{Path: checkpoint.Tile{Width: int(next.Size)}.Path()})
	p.must(err)
	leaf := checkpoint.LeafHash(all[3].GetEnvelope())
	if got := tile.GetData()[3*32 : 4*32]; string(got) != string(leaf[:]) {
		t.Errorf("leaf 3 is %x, want %x", got, leaf)
	}
	bundle, err := p.audit.GetTile(t.Context(), &taplinev1.GetTileRequest{Path: "tile/entries/000.p/1"})
	p.must(err)
	if got := bundle.GetData()[2:]; string(got) != string(all[0].GetEnvelope()) {
		t.Errorf("the first entry is %q", got)
	}
}

func TestQuestionsToTheLogThatHaveNoAnswerNameTheField(t *testing.T) {
	p := newPlant(t)
	p.staff()
	size := p.logs(4).Size
	for name, row := range map[string]struct {
		ask  func() error
		kind wire.Kind
		says string
	}{
		"a leaf that is not there": {func() error {
			_, err := p.audit.ProveInclusion(t.Context(), &taplinev1.ProveInclusionRequest{Leaf: size})
			return err
		}, wire.Invalid, "leaf: "},
		"a size that is not there": {func() error {
			_, err := p.audit.ProveInclusion(t.Context(), &taplinev1.ProveInclusionRequest{Size: 1 << 63})
			return err
		}, wire.Invalid, "size: "},
		"from more to less": {func() error {
			_, err := p.audit.ProveConsistency(t.Context(), &taplinev1.ProveConsistencyRequest{FromSize: 3, ToSize: 2})
			return err
		}, wire.Invalid, "from_size: "},
		"to more than there is": {func() error {
			_, err := p.audit.ProveConsistency(t.Context(), &taplinev1.ProveConsistencyRequest{FromSize: 3, ToSize: size + 1})
			return err
		}, wire.Invalid, "to_size: "},
		"a path that is none": {func() error {
			_, err := p.audit.GetTile(t.Context(), &taplinev1.GetTileRequest{Path: "tile/../../etc"})
			return err
		}, wire.Invalid, "path: "},
		"a tile that is not there": {func() error {
			_, err := p.audit.GetTile(t.Context(), &taplinev1.GetTileRequest{Path: "tile/0/x001/000"})
			return err
		}, wire.NotFound, "path: "},
		"witnesses that nobody has": {func() error {
			_, err := p.audit.GetCheckpoint(t.Context(), &taplinev1.GetCheckpointRequest{Cosignatures: 1 << 31})
			return err
		}, wire.Invalid, "cosignatures: "},
	} {
		t.Run(name, func(t *testing.T) { refused(t, row.ask(), row.kind, row.says) })
	}
}

func TestABrokerDoesNotStartOnAStoreThatWasPutBack(t *testing.T) {
	p := newPlant(t)
	p.staff()
	p.logs(4)
	p.stop()
	old := filepath.Join(t.TempDir(), "old")
	p.must(os.CopyFS(old, os.DirFS(p.cfg.Data)))
	p.start()
	p.hire("p-2", "Ben", ben())
	p.logs(6)
	p.stop()
	signed, err := os.ReadFile(filepath.Join(p.cfg.Data, tlog.FileName))
	p.must(err)
	p.cfg.Data = old
	p.must(os.Chmod(filepath.Join(old, vault.KeyFile), 0o600))             // CopyFS leaves rights behind
	p.must(os.WriteFile(filepath.Join(old, tlog.FileName), signed, 0o600)) // the file is newer than the store
	_, err = New(t.Context(), p.cfg, Options{})
	if !errors.Is(err, tlog.ErrBehind) || osservice.CodeOf(err) != osservice.Config || !strings.Contains(err.Error(), "were published") {
		t.Errorf("got %v, want ErrBehind", err)
	}
}

// verifyLog checks an export against the log that lies in it.
func (p *plant) verifyLog(dir string, o evidence.LogOptions) evidence.LogFinding {
	p.t.Helper()
	chains, err := evidence.Open(dir)
	p.must(err)
	findings, err := evidence.VerifyLog(p.t.Context(), chains, o)
	p.must(err)
	if len(findings) != 1 {
		p.t.Fatalf("%d logs were found", len(findings))
	}
	return findings[0]
}

func TestAnExportIsCheckedAgainstTheLogAndAnEarlierCheckpoint(t *testing.T) {
	p := newPlant(t)
	p.staff()
	a, b := p.enrol(press), p.enrol(packing)
	for i := range 10 {
		_, err := a.send(record.Seq(i*5+1), a.write(5))
		p.must(err)
		_, err = b.send(record.Seq(i*3+1), b.write(3))
		p.must(err)
	}
	k := p.logKey()
	whole := p.export()
	f := p.verifyLog(whole, evidence.LogOptions{Key: &k})
	if f.Fault != nil || f.Unlogged != 0 || f.Records != f.Size || f.Size != uint64(len(p.stored())) {
		t.Errorf("found %+v, %v, want %d records", f, f.Fault, len(p.stored()))
	}
	// One station of two: what lies between is proven by hashes, and by what the evidence key says of the log.
	some := p.exportOf(&taplinev1.ExportRequest{Stations: []string{press}})
	if f := p.verifyLog(some, evidence.LogOptions{}); f.Fault != nil || f.Records != 50 || f.Unlogged != 0 {
		t.Errorf("found %+v, %v, want 50 records", f, f.Fault)
	}
	// The log continues the one that an auditor saw before.
	before, err := os.ReadFile(filepath.Join(whole, evidence.LogDir, evidence.CheckpointFile))
	p.must(err)
	_, err = a.send(51, a.write(5))
	p.must(err)
	next := p.exportOf(&taplinev1.ExportRequest{Stations: []string{press}, SinceSize: f.Size})
	if f := p.verifyLog(next, evidence.LogOptions{Since: before}); f.Fault != nil || f.Records != 55 || !f.Continues {
		t.Errorf("found %+v, %v, want 55 records", f, f.Fault)
	}
	chains, err := evidence.Open(p.export())
	p.must(err)
	if _, err := evidence.VerifyLog(t.Context(), chains, evidence.LogOptions{Since: before}); !errors.Is(err, evidence.ErrOpen) {
		t.Errorf("without a proof: %v, want ErrOpen", err)
	}
	// Whoever takes the log out, so that a chain may be left out too, would have to sign the receipts anew.
	p.must(os.RemoveAll(filepath.Join(some, evidence.LogDir)))
	if f := p.verifyLog(some, evidence.LogOptions{}); f.Fault == nil || f.Fault.Kind != record.FaultLogMissing {
		t.Errorf("an export without its log: %v, want %s", f.Fault, record.FaultLogMissing)
	}
	stream, err := p.audit.Export(t.Context(), &taplinev1.ExportRequest{SinceSize: 1 << 40})
	p.must(err)
	_, err = stream.Recv()
	refused(t, err, wire.Invalid, "since_size: ")
}

// A plant has its log cosigned outside; the evidence holds the cosignature, and who names the witness wants it.
func TestEvidenceIsCosignedByTheWitnessesOfTheConfiguration(t *testing.T) {
	seed := make([]byte, ed25519.SeedSize)
	key, err := witness.NewKey("auditor.example", seed)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlant(t)
	w, err := witness.New(key, []checkpoint.Key{p.logKey()}, t.TempDir(), p.clock.now, func(_, what string) { t.Error(what) })
	p.must(err)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	p.stop()
	p.cfg.Witnesses = []WitnessConfig{{Key: key.Verifier().String(), URL: server.URL}}
	p.start()
	p.staff()
	dir := p.export()
	f := p.verifyLog(dir, evidence.LogOptions{Witnesses: []checkpoint.Key{key.Verifier()}, Cosigned: 1})
	if f.Fault != nil || len(f.Cosignatures) != 1 || f.Unlogged != 0 {
		t.Errorf("found %+v, %v", f, f.Fault)
	}
	r, err := p.audit.GetCheckpoint(t.Context(), &taplinev1.GetCheckpointRequest{Cosignatures: 1})
	p.must(err)
	if _, err := checkpoint.Open(r.GetCheckpoint(), p.logKey(), key.Verifier()); err != nil {
		t.Error(err)
	}
}

func TestAWitnessThatIsNoneIsAFaultOfTheConfiguration(t *testing.T) {
	cfg, err := DefaultConfig()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Witnesses = []WitnessConfig{{Key: "abc", URL: "ftp://x"}, {URL: "http://w.example"}}
	said := errors.Join(cfg.Check()...).Error()
	for _, want := range []string{"key of entry 1", "url \"ftp://x\" of entry 1", "key of entry 2"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q does not say %q", said, want)
		}
	}
}

// Whatever is asked, the answer is a proof that holds or a refusal: never a fault of the broker.
func TestNoQuestionToTheLogIsTooStrange(t *testing.T) {
	p := newPlant(t)
	p.staff()
	head := p.logs(4)
	dice := rand.New(rand.NewPCG(1, 2))
	number := func() uint64 {
		switch dice.IntN(4) {
		case 0:
			return dice.Uint64()
		case 1:
			return 1 << dice.IntN(64)
		}
		return dice.Uint64N(head.Size + 2)
	}
	paths := []string{"tile", "entries", "0", "1", "63", "000", "x000", "x001", "001", "000.p", "1", "4", "255", "..", ""}
	for range 400 {
		leaf, size, from := number(), number(), number()
		proof, err := p.audit.ProveInclusion(t.Context(), &taplinev1.ProveInclusionRequest{Leaf: leaf, Size: size})
		if wire.KindOf(err) != wire.None && wire.KindOf(err) != wire.Invalid {
			t.Fatalf("leaf %d of %d: %v", leaf, size, err)
		}
		if err == nil && size == head.Size {
			p.must(checkpoint.CheckInclusion(size, head.Root, leaf, checkpoint.LeafHash(p.stored()[leaf].GetEnvelope()), path(p, proof.GetPath())))
		}
		if _, err := p.audit.ProveConsistency(t.Context(), &taplinev1.ProveConsistencyRequest{FromSize: from, ToSize: size}); wire.KindOf(err) != wire.None && wire.KindOf(err) != wire.Invalid {
			t.Fatalf("from %d to %d: %v", from, size, err)
		}
		var parts []string
		for range dice.IntN(7) {
			parts = append(parts, paths[dice.IntN(len(paths))])
		}
		_, err = p.audit.GetTile(t.Context(), &taplinev1.GetTileRequest{Path: strings.Join(parts, "/")})
		if k := wire.KindOf(err); k != wire.None && k != wire.Invalid && k != wire.NotFound {
			t.Fatalf("%q: %v", parts, err)
		}
		if _, err := p.audit.GetCheckpoint(t.Context(), &taplinev1.GetCheckpointRequest{Cosignatures: uint32(number())}); wire.KindOf(err) != wire.None && wire.KindOf(err) != wire.Invalid {
			t.Fatal(err)
		}
	}
}

func TestAnyByteThatIsChangedInTheLogOfAnExportIsSeen(t *testing.T) {
	p := newPlant(t)
	p.staff()
	a, b := p.enrol(press), p.enrol(packing)
	_, err := a.send(1, a.write(20))
	p.must(err)
	_, err = b.send(1, b.write(20))
	p.must(err)
	dir := p.exportOf(&taplinev1.ExportRequest{Stations: []string{press}, SinceSize: 5})
	chains, err := evidence.Open(dir)
	p.must(err)
	since, err := os.ReadFile(filepath.Join(dir, evidence.LogDir, evidence.CheckpointFile))
	p.must(err)
	files := []string{
		filepath.Join(dir, evidence.LogDir, evidence.LogStatementFile), filepath.Join(dir, evidence.LogDir, evidence.BetweenFile),
		filepath.Join(chains[0].Dir, evidence.LeavesFile), filepath.Join(chains[0].Dir, evidence.RecordsFile),
	}
	dice := rand.New(rand.NewPCG(1, 2))
	for _, name := range files {
		good, err := os.ReadFile(name)
		p.must(err)
		for range 60 {
			bad := bytes.Clone(good)
			at := dice.IntN(len(bad))
			switch dice.IntN(3) {
			case 0:
				bad[at] ^= 1 << dice.IntN(8)
			case 1:
				bad = bad[:at]
			case 2:
				bad = append(bad[:at], bad[at+1:]...)
			}
			if bytes.Equal(bytes.TrimSuffix(bad, []byte("\n")), bytes.TrimSuffix(good, []byte("\n"))) {
				continue // a file of one line may end with or without its newline
			}
			p.must(os.WriteFile(name, bad, 0o600))
			findings, err := evidence.VerifyLog(t.Context(), chains, evidence.LogOptions{Since: since})
			if err == nil && findings[0].Fault == nil && findings[0].Unlogged == 0 {
				t.Errorf("%s was changed at byte %d and nobody saw it", filepath.Base(name), at)
			}
		}
		p.must(os.WriteFile(name, good, 0o600))
	}
	if f := p.verifyLog(dir, evidence.LogOptions{Since: since}); f.Fault != nil {
		t.Errorf("unchanged: %v", f.Fault)
	}
}
