package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tapline/broker"
	"tapline/broker/backup"
	"tapline/broker/identity"
	"tapline/broker/store"
	"tapline/broker/tlog"
	"tapline/broker/vault"
	"tapline/installer/osservice"
)

func (c *cli) restoreCommand() *cobra.Command {
	var force bool
	var lost uint64
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup into the store", Args: cobra.ExactArgs(1),
		Long: `Puts a backup into the store that is configured: all of it, or nothing. Every
broker on the store must be stopped. The file is read whole and held to its
digest first; the store must be empty, or --force throws away what is in it.

A backup that is older than the checkpoint in DATA/checkpoint is refused: records
that it lacks were signed for, and auditors hold that signature. If there is no
newer one, --accept-lost N puts it back all the same, where N is how many records
are lost, as the refusal says; the broker then starts only after "tapbroker log
restart", which begins a new log and raises an alarm.`,
		Example: "  tapbroker restore /srv/backup/tapline-2026-11-25.gz",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			b, err := backup.Open(cmd.Context(), args[0])
			if err != nil {
				return osservice.Fault(osservice.Config, err, "take another backup; nothing was changed")
			}
			return restore(cmd, cfg, b, force, lost)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "throw away what is in the store")
	cmd.Flags().Uint64Var(&lost, "accept-lost", 0, "put an older backup back that lacks so many records that were signed for")
	return cmd
}

func restore(cmd *cobra.Command, cfg broker.Config, b *backup.Backup, force bool, lost uint64) (err error) {
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	unlock, err := lockData(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	s, err := cfg.OpenStore(cmd.Context())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	bar := rowBar(cmd.ErrOrStderr())
	err = b.Restore(cmd.Context(), s, force, func(tx *store.Tx) error { return notBehind(tx, cfg.Data, b.Manifest, lost) },
		func(n uint64) { _ = bar.Set64(int64(n)) })
	err = errors.Join(err, bar.Finish())
	switch {
	case errors.Is(err, store.ErrNotEmpty):
		return osservice.Fault(osservice.Refused, err, "restore into a new folder or database, or throw away what is there with --force")
	case errors.Is(err, store.ErrInUse):
		return osservice.Fault(osservice.Refused, err, "stop every broker on this store, wait ten seconds, and restore again. Nothing was changed")
	case errors.Is(err, tlog.ErrBehind):
		return osservice.Fault(osservice.Refused, err, "take a newer backup; if there is none, see --accept-lost in tapbroker restore --help. Nothing was changed")
	case err != nil:
		return err
	}
	if err := restoreKey(cfg, b.Manifest.MasterKey); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "store     %s\nrows      %d\nrecords   %d\nlog       %d\n", s.Where(), b.Rows, b.Manifest.Records, b.Manifest.LogSize)
	if _, err := os.Stat(filepath.Join(cfg.Data, vault.KeyFile)); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(out, "key       put the copy of master.key into %s before the broker starts\n", cfg.Data)
	}
	if lost > 0 {
		fmt.Fprintf(out, "lost      %d records that were signed for: run tapbroker log restart --yes, and tell auditors\n", lost)
	}
	return nil
}

// notBehind holds what was restored to the checkpoint in the data folder; a missing file means no check.
func notBehind(tx *store.Tx, data string, m backup.Manifest, lost uint64) error {
	_, published, ok, err := tlog.ReadFile(data)
	if err != nil || !ok {
		return err
	}
	err = tlog.Holds(tx, published)
	if !errors.Is(err, tlog.ErrBehind) {
		return err
	}
	short := published.Size - m.LogSize
	if lost == 0 || lost != short {
		return fmt.Errorf("%w: %d records that were signed for would be lost", err, short)
	}
	return nil
}

// restoreKey puts the master key back that was in the backup, unless there is one.
func restoreKey(cfg broker.Config, key []byte) error {
	path := filepath.Join(cfg.Data, vault.KeyFile)
	if _, err := os.Stat(path); key == nil || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := identity.WriteFile(path, key); err != nil {
		return fmt.Errorf("master key: %w", err)
	}
	return nil
}
