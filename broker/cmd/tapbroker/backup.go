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

	"github.com/spf13/cobra"

	"tapline/broker"
	"tapline/broker/backup"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/installer/osservice"
)

func (c *cli) backupCommand() *cobra.Command {
	var withKey bool
	var output string
	cmd := &cobra.Command{
		Use: "backup FILE|-", Short: "Write everything that the store holds to one file, while the broker runs", Args: cobra.ExactArgs(1),
		Long: `Writes everything that the store holds, as it is at one moment, to one file, while
brokers go on. "-" is standard output. The file is the same for SQLite and
PostgreSQL, so it also moves a broker from one to the other; gzip and JSON, see
the comment of package broker/backup.

The master key is not in it: it opens every secret in the store, and a backup
goes to places that must not have both. Keep a copy of master.key apart; without
it a backup can be restored, but no broker can work with it. --with-master-key
puts it in all the same; keep such a file as you keep the key.`,
		Example: "  tapbroker backup /srv/backup/tapline-$(date +%F).gz\n  tapbroker backup - | ssh vault 'cat > tapline.gz'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withStore(cmd, func(cfg broker.Config, s *store.Store) error {
				o := backup.Options{Build: build(), Now: time.Now()}
				if withKey {
					key, err := os.ReadFile(filepath.Join(cfg.Data, vault.KeyFile))
					if err != nil {
						return osservice.Fault(osservice.Config, fmt.Errorf("master key: %w", err), "a key in a keyring or credential is copied with that keyring's or service manager's own means")
					}
					o.MasterKey = key
				}
				bar := rowBar(cmd.ErrOrStderr())
				o.Progress = func(n uint64) { _ = bar.Set64(int64(n)) }
				m, err := writeBackup(cmd.Context(), s, args[0], cmd.OutOrStdout(), o)
				if err = errors.Join(err, bar.Finish()); err != nil {
					return err
				}
				say := cmd.OutOrStdout()
				if args[0] == "-" {
					say = cmd.ErrOrStderr()
				}
				m.MasterKey = nil
				if output == "json" {
					return json.NewEncoder(say).Encode(m)
				}
				_, err = fmt.Fprintf(say, "file      %s\nschema    %d\nrecords   %d\nlog       %d\nkey       %s\n", args[0], m.Schema, m.Records, m.LogSize,
					map[bool]string{true: "in it: keep this file as you keep the key", false: "not in it: keep a copy of master.key apart"}[withKey])
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&withKey, "with-master-key", false, "put the master key into the file too")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

// writeBackup writes to a file that is there whole or not at all, or to out for "-".
func writeBackup(ctx context.Context, s *store.Store, path string, out io.Writer, o backup.Options) (backup.Manifest, error) {
	if path == "-" {
		return backup.Write(ctx, s, out, o)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return backup.Manifest{}, fmt.Errorf("backup: %w", err)
	}
	m, err := backup.Write(ctx, s, f, o)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return m, errors.Join(err, os.Remove(f.Name()))
	}
	return m, nil
}
