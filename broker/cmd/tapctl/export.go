package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

func exportCommand(o *options) *cobra.Command {
	req := &taplinev1.ExportRequest{}
	var from, since string
	c := &cobra.Command{
		Use: "export DIR", Short: "Write the evidence of stations into a new folder that tapaudit verifies", Args: cobra.ExactArgs(1),
		Long: `Writes the signed records of stations, the broker's receipts and its public
keys into DIR, which must not exist or be empty. An auditor checks it without a
broker:  tapaudit verify DIR

With --since the evidence also proves that the broker's log continues the one of
that checkpoint:  tapaudit verify DIR --since OLD`,
		Example: "  tapctl export evidence-2026-11 --station plant/press/ --from 720h",
		RunE: func(c *cobra.Command, args []string) error {
			if from != "" {
				t, err := atTime(from, time.Now())
				if err != nil {
					return err
				}
				req.From = stamp(t)
			}
			if since != "" {
				size, err := sizeOf("--since", since)
				if err != nil {
					return err
				}
				req.SinceSize = size
			}
			return o.stream(c.Context(), func(ctx context.Context, b client) error {
				s, err := b.audit.Export(ctx, req)
				if err != nil {
					return err
				}
				files, bytes, err := receive(s, args[0], c.ErrOrStderr())
				if err != nil {
					return err
				}
				if o.output == "json" {
					return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"folder": args[0], "files": files, "bytes": bytes})
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "%d files, %d bytes in %s\ncheck them: tapaudit verify %s\n", files, bytes, args[0], args[0])
				return err
			})
		},
	}
	c.Flags().StringSliceVar(&req.Stations, "station", nil, "station; a trailing / takes all below")
	c.Flags().StringVar(&since, "since", "", "prove that the log continues this one: the file of a checkpoint, or a folder of evidence")
	c.Flags().StringVar(&from, "from", "", "only chains with records from this time on: RFC 3339, or an age")
	return c
}

// exportStream is what receive reads.
type exportStream interface {
	Recv() (*taplinev1.ExportResponse, error)
}

// receive writes the files of an export below dir and nowhere else, whatever paths the other side sends.
func receive(s exportStream, dir string, progress io.Writer) (files int, bytes int64, err error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return 0, 0, osservice.Fault(osservice.Usage, fmt.Errorf("%s is not empty", dir), "name a new folder: evidence is never mixed")
	}
	first, err := s.Recv() // before the folder is made: a refusal leaves nothing behind
	if err != nil {
		return 0, 0, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, 0, fmt.Errorf("make %s: %w", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, 0, fmt.Errorf("open %s: %w", dir, err)
	}
	defer root.Close()
	bar := byteBar(progress)
	open := fileWriter{root: root}
	for r := first; ; {
		if err := open.write(r.GetPath(), r.GetData()); err != nil {
			return 0, 0, err
		}
		bytes += int64(len(r.GetData()))
		_ = bar.Add(len(r.GetData()))
		r, err = s.Recv()
		if errors.Is(err, io.EOF) {
			return open.files, bytes, errors.Join(open.close(), bar.Finish())
		}
		if err != nil {
			return 0, 0, errors.Join(err, open.close())
		}
	}
}

// fileWriter writes pieces of files that come one file after the other.
type fileWriter struct {
	root  *os.Root
	path  string
	file  *os.File
	files int
}

func (w *fileWriter) write(path string, data []byte) error {
	if path != w.path || w.file == nil {
		if err := w.close(); err != nil {
			return err
		}
		local := filepath.FromSlash(path)
		if err := w.root.MkdirAll(filepath.Dir(local), 0o700); err != nil {
			return fmt.Errorf("make folder of %q: %w", path, err)
		}
		f, err := w.root.OpenFile(local, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("make %q: %w", path, err)
		}
		w.file, w.path = f, path
		w.files++
	}
	if _, err := w.file.Write(data); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

// close makes the open file durable.
func (w *fileWriter) close() error {
	if w.file == nil {
		return nil
	}
	err := errors.Join(w.file.Sync(), w.file.Close())
	w.file = nil
	return err
}

// byteBar is a progress bar on a terminal, and nothing elsewhere.
func byteBar(w io.Writer) *progressbar.ProgressBar {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return progressbar.DefaultBytesSilent(-1)
	}
	return progressbar.NewOptions64(-1, progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription("export"), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
}
