package evidence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"tapline/proto/record"
)

// Options say how to verify. The zero value is usable.
type Options struct {
	// Trust is believed instead of the trust.json in the evidence.
	Trust *record.Trust
	// Progress is called after each record with the bytes of it, from several goroutines at once. May be nil.
	Progress func(bytes int)
}

// Finding is what became of one chain.
type Finding struct {
	Chain       Chain
	Station     record.StationID // empty if the statement could not be read
	ID          record.ChainID
	Trust       record.Trust
	Records     uint64     // that were found good
	First, Last record.Seq // of those; 0 if there are none
	Unreceipted uint64     // of those, at the end, that no receipt covers
	Fault       *record.Fault
}

// Verify checks chains: each for itself, and within one evidence folder those of a station against each other. The findings have the order of
// chains; a chain that is wanting gets a finding of its own at the end. The error is for what is not the evidence's fault: a file that cannot
// be read, or ctx that was cancelled.
func Verify(ctx context.Context, chains []Chain, o Options) ([]Finding, error) {
	v := verification{options: o, folders: map[string]*folder{}}
	jobs := make([]*job, 0, len(chains))
	for _, c := range chains {
		j, err := v.begin(c)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, j := range jobs {
		g.Go(func() error { return j.run(ctx, o.Progress) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	findings := make([]Finding, 0, len(jobs))
	for _, j := range jobs {
		findings = append(findings, j.finding)
	}
	return append(findings, v.wanting()...), nil
}

// folder is the evidence that one trust.json is for.
type folder struct {
	trust    record.Trust
	verifier *record.Verifier
	err      error // why there is no trust
}

type verification struct {
	options Options
	folders map[string]*folder
	order   []*folder
}

func (v *verification) folder(c Chain) *folder {
	if f := v.folders[c.Trust]; f != nil {
		return f
	}
	f := &folder{}
	switch {
	case v.options.Trust != nil:
		f.trust = *v.options.Trust
	case c.Trust == "":
		f.err = fmt.Errorf("no %s beside the evidence, and no key was given", TrustFile)
	default:
		f.trust, f.err = ReadTrust(c.Trust)
	}
	f.verifier = record.NewVerifier(f.trust)
	v.folders[c.Trust], v.order = f, append(v.order, f)
	return f
}

func (v *verification) wanting() []Finding {
	var list []Finding
	for _, f := range v.order {
		if fault := f.verifier.Finish(); fault != nil {
			list = append(list, Finding{Station: fault.Station, ID: fault.Chain, Trust: f.trust, Fault: fault})
		}
	}
	return list
}

// job is the check of one chain. verifier is nil when a fault was found before the first record.
type job struct {
	finding  Finding
	verifier *record.ChainVerifier
}

// begin reads what the broker says of the chain.
func (v *verification) begin(c Chain) (*job, error) {
	f := v.folder(c)
	j := &job{finding: Finding{Chain: c, Trust: f.trust}}
	j.name()
	if f.err != nil {
		return j.fault(record.FaultTrustMissing, f.err)
	}
	statement, err := c.Statement()
	if err != nil {
		return j.fault(blame(err, record.FaultStatementMissing, record.FaultStatementForged), err)
	}
	cv, err := f.verifier.Station(statement)
	if err != nil {
		return j.fault(kindOf(err), err)
	}
	s := cv.Statement()
	if c.Form == Export && under(c.Dir) && !strings.HasSuffix(filepath.ToSlash(c.Dir), "/"+ChainPath(s.Station, s.Chain)) {
		return j.fault(record.FaultStatementMisplaced, fmt.Errorf("a statement for chain %s of station %s", s.Chain, s.Station))
	}
	if c.Form == Journal {
		cv.Alone()
	}
	j.verifier = cv
	return j.receipt()
}

// receipt holds the chain to its receipt. A broker that exports records has one; a station may not have got its first one yet.
func (j *job) receipt() (*job, error) {
	c := j.finding.Chain
	e, err := c.Receipt()
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.Form == Journal:
		return j, nil
	case err != nil:
		j.verifier = nil
		return j.fault(blame(err, record.FaultReceiptMissing, record.FaultReceiptForged), err)
	}
	_ = j.verifier.Receipt(e) // a fault comes back from Finish
	if c.Form == Journal {
		j.verifier.Trimmed()
	}
	return j, nil
}

// name takes station and chain from where the chain lies and from its statement, true or not, so that a fault can be told where it is.
func (j *job) name() {
	j.finding.Station, j.finding.ID = j.finding.Chain.place()
}

// place is the station and the chain that the folder or else the statement names, true or not.
func (c Chain) place() (station record.StationID, chain record.ChainID) {
	if under(c.Dir) {
		parts := strings.Split(filepath.ToSlash(c.Dir), "/")
		n := len(parts)
		return record.StationID(strings.Join(parts[n-5:n-1], "/")), record.ChainID(parts[n-1])
	}
	e, err := c.Statement()
	if err != nil {
		return "", ""
	}
	s, err := record.ReadStation(e)
	if err != nil {
		return "", ""
	}
	return s.Station, s.Chain
}

// fault notes that the chain is bad before its first record; an empty kind means that err is not the evidence's.
func (j *job) fault(kind record.FaultKind, err error) (*job, error) {
	if kind == "" {
		return nil, err
	}
	detail := err.Error()
	if f := (*record.Fault)(nil); errors.As(err, &f) {
		detail = f.Detail
	}
	j.finding.Fault = &record.Fault{Station: j.finding.Station, Chain: j.finding.ID, Kind: kind, Detail: detail}
	return j, nil
}

// blame chooses between a file that is not there, one that is bad, and a machine that cannot read.
func blame(err error, missing, forged record.FaultKind) record.FaultKind {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missing
	case kindOf(err) != "":
		return forged
	}
	return ""
}

func kindOf(err error) record.FaultKind {
	var kind record.FaultKind
	errors.As(err, &kind)
	return kind
}

// run reads the records.
func (j *job) run(ctx context.Context, progress func(int)) error {
	if j.verifier == nil {
		return nil
	}
	for raw, err := range j.finding.Chain.Records() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch {
		case errors.Is(err, ErrTorn):
			_ = j.verifier.Torn(err.Error()) // the first fault comes back from Finish
		case err != nil:
			return err
		default:
			_ = j.verifier.Add(raw) // likewise
		}
		if progress != nil {
			progress(len(raw) + 1)
		}
	}
	f := &j.finding
	f.Fault = j.verifier.Finish()
	f.Records, f.Last, f.Unreceipted = j.verifier.Records(), j.verifier.Head().Seq, j.verifier.Unreceipted()
	if f.Records > 0 {
		f.First = f.Last - record.Seq(f.Records) + 1
	}
	f.Station, f.ID = cmp.Or(f.Station, j.verifier.Statement().Station), cmp.Or(f.ID, j.verifier.Statement().Chain)
	return nil
}
