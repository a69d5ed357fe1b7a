package evidence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"tapline/proto/checkpoint"
	"tapline/proto/record"
)

// LogOptions say how to check evidence against the broker's log. The zero value is usable.
type LogOptions struct {
	// Trust is believed instead of the trust.json in the evidence.
	Trust *record.Trust
	// Key is the log's key; nil to believe the one that a trusted evidence key vouches for.
	Key *checkpoint.Key
	// Witnesses are believed, and Cosigned of them must have cosigned the checkpoint.
	Witnesses []checkpoint.Key
	Cosigned  int
	// Since is an earlier signed checkpoint, which the log must continue.
	Since []byte
}

// wanted reports whether evidence without a log is bad.
func (o LogOptions) wanted() bool { return o.Key != nil || o.Cosigned > 0 || o.Since != nil }

// LogFinding is what became of the log of one evidence folder.
type LogFinding struct {
	Dir          string // the evidence folder
	Origin       string
	Size         uint64
	Root         checkpoint.Hash
	Records      uint64 // of the evidence that are in the log
	Unlogged     uint64 // of the evidence that were stored after the checkpoint
	Cosignatures []checkpoint.Cosignature
	Continues    bool // the earlier checkpoint
	Fault        *record.Fault
}

// ErrOpen says that the evidence is not enough to tell whether the log continues the earlier checkpoint.
var ErrOpen = errors.New("the evidence holds no proof from the earlier checkpoint on")

// lacksLog is the fault of a chain without a log: the options want one, or the receipt says that there was one.
func (c Chain) lacksLog(dir string, o LogOptions) *record.Fault {
	detail := "there is no folder " + LogDir + " in " + dir
	if c.Form == Export {
		if e, err := c.Receipt(); err == nil {
			if r, err := record.ReadReceipt(e); err == nil && r.Log != "" {
				return &record.Fault{Station: r.Station, Chain: r.Chain, Kind: record.FaultLogMissing, Detail: detail + ", and the receipt was given with the log " + r.Log}
			}
		}
	}
	if !o.wanted() {
		return nil
	}
	station, _ := c.place()
	return &record.Fault{Station: station, Kind: record.FaultLogMissing, Detail: detail}
}

// VerifyLog checks the exports that the chains come from against the log that lies in them. An export without a log has no finding, unless the
// options want one or a receipt says that it had one. The error is ErrOpen, or for what is not the evidence's fault.
func VerifyLog(ctx context.Context, chains []Chain, o LogOptions) ([]LogFinding, error) {
	var findings []LogFinding
	seen := map[string]bool{}
	for _, c := range chains {
		dir := c.Dir
		if c.Form == Export && c.Trust != "" {
			dir = filepath.Dir(c.Trust)
		}
		if seen[dir] {
			continue
		}
		seen[dir] = true
		l := &logCheck{options: o, finding: LogFinding{Dir: dir}}
		if info, err := os.Lstat(filepath.Join(dir, LogDir)); err != nil || !info.IsDir() || c.Form != Export {
			if l.finding.Fault = c.lacksLog(dir, o); l.finding.Fault != nil {
				findings = append(findings, l.finding)
			}
			continue
		}
		if err := l.run(ctx); err != nil {
			return nil, err
		}
		findings = append(findings, l.finding)
	}
	return findings, nil
}

// logCheck checks one folder. It ends with the first fault.
type logCheck struct {
	options LogOptions
	finding LogFinding
	signed  []byte
	key     checkpoint.Key
	chains  []Chain
}

// run makes the steps in the order of the specification. What they return as a *record.Fault is the finding.
func (l *logCheck) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{l.learnKey, l.open, l.compare, l.add, l.continues} {
		err := step(ctx)
		if f := (*record.Fault)(nil); errors.As(err, &f) {
			l.finding.Fault = f
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *logCheck) path(name string) string { return filepath.Join(l.finding.Dir, LogDir, name) }

// fault is a fault of the log as a whole.
func (l *logCheck) fault(kind record.FaultKind, format string, args ...any) error {
	return &record.Fault{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// learnKey finds the key of the log: the one that is pinned, else the one that a trusted evidence key vouches for.
func (l *logCheck) learnKey(context.Context) error {
	if l.options.Key != nil {
		l.key = *l.options.Key
		return nil
	}
	key, err := LogKey(l.finding.Dir, l.options.Trust)
	if err == nil {
		l.key = key
		return nil
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return l.fault(record.FaultLogMissing, "%v", err)
	case errors.Is(err, errMachine):
		return err
	}
	return l.fault(record.FaultLogForged, "%v", err)
}

// errMachine is a file that could not be read.
var errMachine = errors.New("cannot be read")

// LogKey is the key of the log in an evidence folder, as the evidence key vouches for it; trust nil believes the folder's own. The error wraps
// fs.ErrNotExist if nobody vouches.
func LogKey(dir string, trust *record.Trust) (checkpoint.Key, error) {
	if trust == nil {
		own, err := ReadTrust(filepath.Join(dir, TrustFile))
		if err != nil {
			return checkpoint.Key{}, err
		}
		trust = &own
	}
	e, err := readEnvelope(filepath.Join(dir, LogDir, LogStatementFile))
	if err != nil {
		if kindOf(err) == "" && !errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", errMachine, err)
		}
		return checkpoint.Key{}, err
	}
	st, err := trust.Log(e)
	if err != nil {
		return checkpoint.Key{}, fmt.Errorf("log statement: %w", err)
	}
	return checkpoint.LogKey(st.Origin, st.Key.Ed25519()), nil
}

// open reads the checkpoint and holds it to its key and witnesses.
func (l *logCheck) open(context.Context) error {
	signed, err := readWhole(l.path(CheckpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return l.fault(record.FaultLogMissing, "there is no %s", CheckpointFile)
	}
	if err != nil {
		return err
	}
	s, err := checkpoint.Open(signed, l.key, l.options.Witnesses...)
	if err != nil {
		return l.fault(record.FaultLogForged, "%v", err)
	}
	f := &l.finding
	l.signed, f.Origin, f.Size, f.Root, f.Cosignatures = signed, s.Origin, s.Size, s.Root, s.Cosignatures
	if have := len(s.Cosignatures); have < l.options.Cosigned {
		return l.fault(record.FaultLogUnwitnessed, "%d of the witnesses cosigned the checkpoint, wanted are %d", have, l.options.Cosigned)
	}
	return nil
}

// compare holds every record against its leaf.
func (l *logCheck) compare(ctx context.Context) error {
	chains, err := Open(l.finding.Dir)
	if err != nil {
		return err
	}
	l.chains = chains
	faults := make([]error, len(chains))
	logged, unlogged := make([]uint64, len(chains)), make([]uint64, len(chains))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, c := range chains {
		g.Go(func() error {
			logged[i], unlogged[i], faults[i] = c.compare(ctx, l.finding.Size)
			if f := (*record.Fault)(nil); errors.As(faults[i], &f) {
				return nil
			}
			return faults[i]
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range chains {
		l.finding.Records += logged[i]
		l.finding.Unlogged += unlogged[i]
	}
	for _, f := range faults {
		if f != nil {
			return f
		}
	}
	return nil
}

// compare holds the chain's records against its leaves, and counts.
func (c Chain) compare(ctx context.Context, size uint64) (logged, unlogged uint64, err error) {
	leaves := c.leaves()
	defer leaves.close()
	station, id := c.place()
	seq := record.Seq(0)
	fault := func(kind record.FaultKind, err error) error {
		return &record.Fault{Station: station, Chain: id, Seq: seq, Kind: kind, Detail: err.Error()}
	}
	var before checkpoint.Leaf
	for raw, err := range c.Records() {
		if ctx.Err() != nil {
			return 0, 0, context.Cause(ctx)
		}
		if errors.Is(err, ErrTorn) {
			break // Verify has told
		}
		if err != nil {
			return 0, 0, err
		}
		seq++
		l, ok, err := leaves.next()
		switch {
		case errors.Is(err, checkpoint.ErrMalformed):
			return 0, 0, fault(record.FaultLogMalformed, err)
		case err != nil:
			return 0, 0, err
		case !ok:
			unlogged++
			continue
		case l.Index >= size || seq > 1 && l.Index <= before.Index:
			return 0, 0, fault(record.FaultLogMalformed, fmt.Errorf("leaf %d behind leaf %d in a log of %d", l.Index, before.Index, size))
		case l.Hash != checkpoint.LeafHash(raw):
			return 0, 0, fault(record.FaultNotInLog, fmt.Errorf("the log has another record as leaf %d", l.Index))
		}
		before = l
		logged++
	}
	seq++
	l, more, err := leaves.next()
	switch {
	case errors.Is(err, checkpoint.ErrMalformed):
		return 0, 0, fault(record.FaultLogMalformed, err)
	case err != nil:
		return 0, 0, err
	case more:
		return 0, 0, fault(record.FaultNotInLog, fmt.Errorf("the log has a record as leaf %d, and it is not here", l.Index))
	}
	return logged, unlogged, nil
}

// add works the root out from all leaves and what lies between them.
func (l *logCheck) add(context.Context) error {
	m, err := merge(l.chains)
	defer m.close()
	if err != nil {
		return err
	}
	between := openLines(l.path(BetweenFile))
	defer between.close()
	root, err := checkpoint.RootOfSet(l.finding.Size, m.next, func() (checkpoint.Hash, error) {
		line, ok, err := between.next()
		if err == nil && !ok {
			err = fmt.Errorf("%w: %s ends too early", checkpoint.ErrProof, BetweenFile)
		}
		if err != nil {
			return checkpoint.Hash{}, err
		}
		return checkpoint.ParseHash(line)
	})
	switch {
	case errors.Is(err, checkpoint.ErrMalformed):
		return l.fault(record.FaultLogMalformed, "%v", err)
	case errors.Is(err, checkpoint.ErrProof) || errors.Is(err, checkpoint.ErrOrder):
		return l.fault(record.FaultLogRoot, "%v", err)
	case err != nil:
		return err
	}
	if _, more, err := between.next(); more || err != nil {
		return l.fault(record.FaultLogRoot, "%s has more hashes than the tree has room for", BetweenFile)
	}
	if root != l.finding.Root {
		return l.fault(record.FaultLogRoot, "the records give the root %v, and %v was signed for size %d", root, l.finding.Root, l.finding.Size)
	}
	return nil
}

// continues holds the log to the earlier checkpoint.
func (l *logCheck) continues(context.Context) error {
	if l.options.Since == nil {
		return nil
	}
	var x checkpoint.Extension
	b, err := readWhole(l.path(ConsistencyFile))
	if err == nil {
		if x, err = checkpoint.ParseExtension(b); err != nil {
			return l.fault(record.FaultLogMalformed, "%s: %v", ConsistencyFile, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err = Continues(l.options.Since, l.signed, &x, l.key)
	if kind := kindOf(err); kind != "" {
		return l.fault(kind, "%v", err)
	}
	l.finding.Continues = err == nil
	return err
}

// Continues checks that the log of a signed checkpoint is the continuation of that of an earlier one. proof may be nil. The error wraps a
// record.FaultKind, or is ErrOpen if the proof is for another size.
func Continues(earlier, later []byte, proof *checkpoint.Extension, key checkpoint.Key) error {
	was, err := checkpoint.Open(earlier, key)
	if err != nil {
		return fmt.Errorf("%w: the earlier one: %w", record.FaultLogForked, err)
	}
	is, err := checkpoint.Open(later, key)
	if err != nil {
		return fmt.Errorf("%w: %w", record.FaultLogForged, err)
	}
	switch {
	case is.Size < was.Size:
		return fmt.Errorf("%w: it has %d records, and had %d", record.FaultLogBehind, is.Size, was.Size)
	case is.Size == was.Size && is.Root != was.Root:
		return fmt.Errorf("%w: two roots were signed for size %d: %v and %v", record.FaultLogForked, is.Size, was.Root, is.Root)
	case is.Size == was.Size:
		return nil
	case was.Size > 0 && (proof == nil || proof.Old != was.Size || len(proof.Path) == 0):
		return fmt.Errorf("%w: from size %d to %d", ErrOpen, was.Size, is.Size)
	}
	var path []checkpoint.Hash
	if proof != nil && was.Size > 0 {
		path = proof.Path
	}
	if err := checkpoint.CheckConsistency(was.Size, was.Root, is.Size, is.Root, path); err != nil {
		return fmt.Errorf("%w: %w", record.FaultLogForked, err)
	}
	return nil
}
