package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"tapline/installer/osservice"
	"tapline/proto/checkpoint"
	"tapline/proto/record/evidence"
	taplinev1 "tapline/proto/tapline/v1"
)

func logCommands(o *options) *cobra.Command {
	return noun("log", "The Merkle log over all records: checkpoints and proofs", `The broker keeps all records in one append-only log and signs its head. Keep the checkpoint of today:
the log of every later day must continue it, and "tapaudit log check" says whether it does.`,
		logCheckpoint(o), logKey(o), logProve(o), logConsistency(o))
}

func logCheckpoint(o *options) *cobra.Command {
	req := &taplinev1.GetCheckpointRequest{}
	c := &cobra.Command{
		Use: "checkpoint", Short: "Print the newest signed checkpoint", Args: cobra.ExactArgs(0),
		Long: `Prints the newest signed checkpoint of the log, with the cosignatures of witnesses that are there (C2SP
tlog-checkpoint: name of the log, number of records, root, signatures).`,
		Example: "  tapctl log checkpoint > $(date +%F).checkpoint",
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.audit.GetCheckpoint(ctx, req)
				if err != nil {
					return err
				}
				head, err := checkpoint.Read(r.GetCheckpoint())
				if err != nil {
					return fmt.Errorf("answer: %w", err)
				}
				return o.text(c, r.GetCheckpoint(), map[string]any{
					"origin": head.Origin, "size": head.Size, "root": head.Root.String(), "checkpoint": string(r.GetCheckpoint()),
				})
			})
		},
	}
	c.Flags().Uint32Var(&req.Cosignatures, "cosigned", 0, "the newest one that so many witnesses cosigned")
	return c
}

// text prints what is a text, or as JSON what is in it.
func (o *options) text(c *cobra.Command, text []byte, inside map[string]any) error {
	if o.output == "json" {
		e := json.NewEncoder(c.OutOrStdout())
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(inside)
	}
	_, err := c.OutOrStdout().Write(text)
	return err
}

func logKey(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "key", Short: "Print the log's verifier key, for witnesses and auditors to pin", Args: cobra.ExactArgs(0),
		Long: `Prints the verifier key of the log (C2SP signed-note). Witnesses want it; auditors who pin the broker's
evidence key (tapctl trust) need not have it, because that key vouches for this one.`,
		Example: `  tapaudit witness --log "$(tapctl log key)" --name witness.example`,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.audit.GetTrust(ctx, &taplinev1.GetTrustRequest{})
				if err != nil {
					return err
				}
				k, err := checkpoint.ParseKey(r.GetLogKey())
				if err != nil {
					return fmt.Errorf("answer: %w", err)
				}
				return o.text(c, []byte(k.String()+"\n"), map[string]any{"origin": k.Name(), "key": k.String()})
			})
		},
	}
}

func logProve(o *options) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "prove LEAF", Short: "Print the proof that a record is in the log", Args: cobra.ExactArgs(1),
		Long: `Prints the proof that the record at a place of the log is in it, under the newest checkpoint, as one file
(C2SP tlog-proof). Places count from 0; leaves.txt in an export says where each record stands.`,
		Example: "  tapctl log prove 4711 --record record.json > record.tlog-proof\n  tapaudit log proof record.tlog-proof record.json --log-key \"$(tapctl log key)\"",
		RunE: func(c *cobra.Command, args []string) error {
			leaf, err := number("LEAF", args[0])
			if err != nil {
				return err
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.audit.ProveInclusion(ctx, &taplinev1.ProveInclusionRequest{Leaf: leaf})
				if err != nil {
					return err
				}
				if file != "" {
					if err := fetchRecord(ctx, b, leaf, file); err != nil {
						return err
					}
				}
				path, lines, err := hashes(r.GetPath())
				if err != nil {
					return err
				}
				p := checkpoint.Proof{Index: leaf, Path: path, Checkpoint: r.GetCheckpoint()}
				return o.text(c, p.Text(), map[string]any{"leaf": leaf, "path": lines, "checkpoint": string(r.GetCheckpoint())})
			})
		},
	}
	c.Flags().StringVar(&file, "record", "", "also write the record itself to this new file")
	return c
}

// fetchRecord writes the record at a place of the log to a new file.
func fetchRecord(ctx context.Context, b client, leaf uint64, file string) error {
	// Of a bundle that is not full no more may be asked for than there is: as much as reaches to the record.
	t := checkpoint.Tile{Entries: true, Index: leaf / checkpoint.TileWidth, Width: int(leaf%checkpoint.TileWidth) + 1}
	r, err := b.audit.GetTile(ctx, &taplinev1.GetTileRequest{Path: t.Path()})
	if err != nil {
		return err
	}
	data := r.GetData()
	for range leaf % checkpoint.TileWidth {
		if data, err = entry(data, nil); err != nil {
			return err
		}
	}
	var line []byte
	if _, err := entry(data, &line); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return osservice.Fault(osservice.Usage, err, "name a new file")
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// entry takes one entry off a bundle.
func entry(bundle []byte, into *[]byte) ([]byte, error) {
	if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
		return nil, errors.New("answer: the bundle of records breaks off")
	}
	n := 2 + int(binary.BigEndian.Uint16(bundle))
	if into != nil {
		*into = bundle[2:n:n]
	}
	return bundle[n:], nil
}

func logConsistency(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "consistency FROM [TO]", Short: "Print the proof that the log of one size is the beginning of that of another", Args: cobra.RangeArgs(1, 2),
		Long: `Prints the proof that the log of FROM records is the beginning of the log of TO records, which is the newest
checkpoint's if it is not given. FROM may be a number, the file of a checkpoint, or a folder of evidence.`,
		Example: "  tapctl log consistency 2026-10-31.checkpoint > proof\n  tapctl log checkpoint > new\n  tapaudit log check 2026-10-31.checkpoint new --proof proof",
		RunE: func(c *cobra.Command, args []string) error {
			from, err := sizeOf("FROM", args[0])
			if err != nil {
				return err
			}
			var to uint64
			if len(args) == 2 {
				if to, err = sizeOf("TO", args[1]); err != nil {
					return err
				}
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.audit.ProveConsistency(ctx, &taplinev1.ProveConsistencyRequest{FromSize: from, ToSize: to})
				if err != nil {
					return err
				}
				path, lines, err := hashes(r.GetPath())
				if err != nil {
					return err
				}
				x := checkpoint.Extension{Old: from, Path: path, Checkpoint: r.GetCheckpoint()}
				return o.text(c, x.Text(), map[string]any{"from": from, "path": lines, "checkpoint": string(r.GetCheckpoint())})
			})
		},
	}
}

// hashes are those of an answer, also as base64.
func hashes(raw [][]byte) (path []checkpoint.Hash, lines []string, err error) {
	path, lines = make([]checkpoint.Hash, len(raw)), make([]string, len(raw))
	for i, b := range raw {
		if len(b) != len(path[i]) {
			return nil, nil, fmt.Errorf("answer: hash %d has %d bytes", i, len(b))
		}
		path[i] = checkpoint.Hash(b)
		lines[i] = path[i].String()
	}
	return path, lines, nil
}

func number(what, text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, usage("%s %q: want a number", what, text)
	}
	return n, nil
}

// sizeOf is a size of the log: a number, or that of a checkpoint in a file or a folder of evidence.
func sizeOf(what, text string) (uint64, error) {
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return n, nil
	}
	path := text
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, evidence.LogDir, evidence.CheckpointFile)
	}
	signed, err := os.ReadFile(path)
	if err != nil {
		return 0, osservice.Fault(osservice.Usage, fmt.Errorf("%s: %w", what, err), "give a number of records, the file of a checkpoint, or a folder of evidence with a log")
	}
	c, err := checkpoint.Read(signed)
	if err != nil {
		return 0, osservice.Fault(osservice.Usage, fmt.Errorf("%s: %s: %w", what, path, err), "give a number of records, the file of a checkpoint, or a folder of evidence with a log")
	}
	return c.Size, nil
}
