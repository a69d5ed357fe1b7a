package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tapline/proto/checkpoint"
	"tapline/proto/record"
	"tapline/proto/record/evidence"
)

// logFlags say what is believed about a log.
type logFlags struct {
	key       string
	witnesses []string
	cosigned  int
	since     string
}

func (f *logFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.key, "log-key", "", "believe this verifier key of the log and no other")
	c.Flags().StringArrayVar(&f.witnesses, "witness", nil, "verifier key of a witness that must have cosigned; may be repeated")
	c.Flags().IntVar(&f.cosigned, "cosigned", 0, "how many of the witnesses must have cosigned (default all)")
}

// options reads the flags.
func (f *logFlags) options(trust *record.Trust) (evidence.LogOptions, error) {
	o := evidence.LogOptions{Trust: trust, Cosigned: f.cosigned}
	if f.key != "" {
		k, err := checkpoint.ParseKey(f.key)
		if err == nil && !k.IsLog() {
			err = errors.New("it is the key of a witness")
		}
		if err != nil {
			return o, hint(fmt.Errorf("--log-key %q: %w", f.key, err), "tapctl log key prints it")
		}
		o.Key = &k
	}
	for _, w := range f.witnesses {
		k, err := checkpoint.ParseKey(w)
		if err == nil && k.IsLog() {
			err = errors.New("it is the key of a log")
		}
		if err != nil {
			return o, hint(fmt.Errorf("--witness %q: %w", w, err), "a witness prints its key when it starts")
		}
		o.Witnesses = append(o.Witnesses, k)
	}
	switch {
	case o.Cosigned < 0 || o.Cosigned > len(o.Witnesses):
		return o, hint(fmt.Errorf("--cosigned %d, and %d witnesses are named", o.Cosigned, len(o.Witnesses)), "name each with --witness KEY")
	case o.Cosigned == 0:
		o.Cosigned = len(o.Witnesses)
	}
	if f.since == "" {
		return o, nil
	}
	signed, err := readCheckpoint(f.since)
	o.Since = signed
	return o, err
}

// check checks chains against the log that came with them.
func (f *logFlags) check(ctx context.Context, chains []evidence.Chain, trust *record.Trust) ([]evidence.LogFinding, error) {
	o, err := f.options(trust)
	if err != nil {
		return nil, err
	}
	findings, err := evidence.VerifyLog(ctx, chains, o)
	switch {
	case errors.Is(err, evidence.ErrIrregular):
		return nil, hint(err, "nobody can vouch for what it hides: ask for the evidence again, without it")
	case errors.Is(err, evidence.ErrOpen):
		return nil, hint(err, "ask for the evidence again, with the proof: tapctl export DIR --since %s", f.since)
	case errors.Is(err, context.Canceled):
		return nil, hint(errors.New("interrupted"), "nothing was changed; run it again")
	case err != nil:
		return nil, hint(err, "run it as the user who owns the evidence, or on a copy")
	}
	return findings, nil
}

// readCheckpoint reads a signed checkpoint: a file, or that of a folder of evidence.
func readCheckpoint(path string) ([]byte, error) {
	read := func() ([]byte, error) { return os.ReadFile(path) }
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		read = func() ([]byte, error) { return evidence.ReadLogFile(path, evidence.CheckpointFile) }
	}
	signed, err := read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint(err, "name the file of a checkpoint (tapctl log checkpoint writes one) or a folder of evidence with a log")
	}
	if err == nil {
		_, err = checkpoint.Read(signed)
	}
	if err != nil {
		return nil, hint(fmt.Errorf("%s: %w", path, err), "name the file of a checkpoint, or a folder of evidence with a log")
	}
	return signed, nil
}

func newLog() *cobra.Command {
	c := &cobra.Command{
		Use: "log", Short: "Check what a broker's log says, without the records",
		Long: `A broker keeps all records in one append-only log and signs its head, the checkpoint. Keep one: every later
one must continue it, or the broker has given somebody another history.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newLogCheck(), newLogProof())
	return c
}

func newLogCheck() *cobra.Command {
	var f logFlags
	var keys []string
	var proof string
	c := &cobra.Command{
		Use: "check OLD NEW", Short: "Check that one checkpoint continues another", Args: cobra.ExactArgs(2),
		Long: `Checks that the log of the checkpoint NEW begins with the log of the checkpoint OLD. Both are files, or folders of
evidence. The proof lies in NEW if it was exported with --since OLD; else give the one that tapctl log
consistency printed.`,
		Example: `  tapaudit log check ./october ./november --trust-key "$KEY"
  tapctl log consistency "$SIZE" > proof && tapaudit log check old.checkpoint new.checkpoint --proof proof --log-key "$VKEY"`,
		RunE: func(c *cobra.Command, args []string) error {
			key, err := f.keyOf(args[1], keys)
			if err != nil {
				return err
			}
			earlier, err := readCheckpoint(args[0])
			if err != nil {
				return err
			}
			later, err := readCheckpoint(args[1])
			if err != nil {
				return err
			}
			read := func() ([]byte, error) { return os.ReadFile(proof) }
			if proof == "" {
				proof = filepath.Join(args[1], evidence.LogDir, evidence.ConsistencyFile)
				read = func() ([]byte, error) { return evidence.ReadLogFile(args[1], evidence.ConsistencyFile) }
			}
			x, err := readExtension(proof, read)
			if err != nil {
				return err
			}
			err = evidence.Continues(earlier, later, x, key)
			return sayContinues(c, err, earlier, later)
		},
	}
	c.Flags().StringVar(&proof, "proof", "", "the consistency proof (default: that in NEW)")
	c.Flags().StringArrayVar(&keys, "trust-key", nil, "believe this evidence key (base64) and no other; may be repeated")
	c.Flags().StringVar(&f.key, "log-key", "", "believe this verifier key of the log and no other")
	return c
}

// keyOf is the log's key: the pinned one, or the one that the evidence at path vouches for.
func (f *logFlags) keyOf(path string, trusted []string) (checkpoint.Key, error) {
	trust, err := trustOf(trusted)
	if err != nil {
		return checkpoint.Key{}, err
	}
	o, err := f.options(trust)
	if err != nil || o.Key != nil {
		if err == nil {
			return *o.Key, nil
		}
		return checkpoint.Key{}, err
	}
	key, err := evidence.LogKey(path, trust)
	if err != nil {
		return checkpoint.Key{}, hint(fmt.Errorf("no key to check the log with: %w", err), "give it with --log-key; tapctl log key prints it")
	}
	return key, nil
}

// readExtension reads a consistency proof; nil if there is none.
func readExtension(path string, read func() ([]byte, error)) (*checkpoint.Extension, error) {
	b, err := read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, hint(err, "give a file that can be read")
	}
	x, err := checkpoint.ParseExtension(b)
	if err != nil {
		return nil, hint(fmt.Errorf("%s: %w", path, err), "tapctl log consistency SIZE prints a proof")
	}
	return &x, nil
}

func sayContinues(c *cobra.Command, err error, earlier, later []byte) error {
	var kind record.FaultKind
	switch {
	case errors.Is(err, evidence.ErrOpen):
		return hint(err, "tapctl log consistency SIZE prints a proof; give it with --proof")
	case errors.As(err, &kind):
		fmt.Fprintf(c.OutOrStdout(), "BAD: %v\n", err)
		return errBad
	case err != nil:
		return err
	}
	old, err := checkpoint.Read(earlier)
	if err != nil {
		return err
	}
	now, err := checkpoint.Read(later)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "GOOD: %s had %s and has %d, and nothing of them was changed.\n", now.Origin, count(old.Size, "record"), now.Size)
	return err
}

func newLogProof() *cobra.Command {
	var f logFlags
	c := &cobra.Command{
		Use: "proof PROOF RECORD", Short: "Check that a record is in the log, by a proof of its own", Args: cobra.ExactArgs(2),
		Long: `Checks a proof in the form of C2SP tlog-proof: that the record in the file RECORD, one line as tapaudit cat prints it,
is in the log, under the checkpoint that the proof holds. Get the log's key by another way than the proof.`,
		Example: `  tapctl log prove 4711 --record record.json > record.tlog-proof
  tapaudit log proof record.tlog-proof record.json --log-key "$VKEY"`,
		RunE: func(c *cobra.Command, args []string) error {
			o, err := f.options(nil)
			if err != nil {
				return err
			}
			if o.Key == nil {
				return hint(errors.New("no key to check the log with"), "give it with --log-key; tapctl log key prints it")
			}
			return checkProof(c, args[0], args[1], o)
		},
	}
	f.add(c)
	return c
}

func checkProof(c *cobra.Command, proof, data string, o evidence.LogOptions) error {
	text, err := os.ReadFile(proof)
	if err != nil {
		return hint(err, "give a file that can be read")
	}
	raw, err := os.ReadFile(data)
	if err != nil {
		return hint(err, "give a file that can be read")
	}
	p, err := checkpoint.ParseProof(text)
	if err != nil {
		return hint(fmt.Errorf("%s: %w", proof, err), "tapctl log prove prints a proof")
	}
	if n := len(raw); n > 0 && raw[n-1] == '\n' {
		raw = raw[:n-1]
	}
	s, err := p.Check(raw, *o.Key, o.Witnesses...)
	if err == nil && len(s.Cosignatures) < o.Cosigned {
		err = fmt.Errorf("%w: %d of the witnesses cosigned, wanted are %d", record.FaultLogUnwitnessed, len(s.Cosignatures), o.Cosigned)
	}
	if err != nil {
		fmt.Fprintf(c.OutOrStdout(), "BAD: %v\n", err)
		return errBad
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "GOOD: leaf %d of %d in %s.\n", p.Index, s.Size, s.Origin)
	return err
}
