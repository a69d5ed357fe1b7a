package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tapline/broker"
	"tapline/installer/osservice"
)

// version is set by the linker.
var version = ""

// build is the version, or what Go knows of the commit.
func build() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}

// cli is what all commands share.
type cli struct {
	config string
	level  atomic.Pointer[zap.AtomicLevel] // of the log, while the service runs
}

func root() *cobra.Command {
	c := &cli{}
	r := &cobra.Command{
		Use:   "tapbroker",
		Short: "Run a Tapline broker",
		Long: `Tapbroker decides who may have which station, leases shared accounts, and keeps
the signed records of all stations.

It needs no set-up: the first start makes its store (SQLite), its certificate
authority and keys, and leaves the administrator's identity in DATA/admin for
tapctl. For stations on other machines set "hosts" in the configuration to the
name that they call it by.

"tapbroker backup" writes everything to one file while the broker runs; what
opens it is master.key in the data folder, so keep a copy of that apart.`,
		Example: "  tapbroker serve --config ./broker.yaml\n  tapctl --identity /var/lib/tapline-broker/admin status",
	}
	r.PersistentFlags().StringVar(&c.config, "config", "", "configuration file (default: where packages put it)")
	spec := broker.Spec()
	spec.Reload = c.reload
	r.AddCommand(
		&cobra.Command{
			Use: "serve", Short: "Serve in the foreground until stopped", Args: cobra.NoArgs,
			Long: `Serves until it is stopped (Ctrl-C, SIGTERM): open calls end, streams are told to
come back. SIGHUP reads log.level again; other keys need a restart.`,
			RunE: func(*cobra.Command, []string) error { return osservice.Run(spec, c.serve) },
		},
		c.checkCommand(), c.migrateCommand(), c.backupCommand(), c.restoreCommand(), c.keyCommand(), c.logCommand(), osservice.Commands(spec, c.serve),
		&cobra.Command{
			Use: "version", Short: "Print the version", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "tapbroker", build())
				return err
			},
		},
	)
	return r
}

// load reads the configuration.
func (c *cli) load() (broker.Config, error) {
	cfg, err := broker.LoadConfig(c.config)
	return cfg, osservice.Fault(osservice.Config, err, `correct what is named; the rest is looked at after that, by "tapbroker check". An empty file is a good one`)
}

// serve is the service.
func (c *cli) serve(ctx context.Context) (err error) {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if err := cfg.Fault(); err != nil {
		return err
	}
	log, level := newLog(cfg.Log)
	c.level.Store(&level)
	defer func() { _ = log.Sync() }()
	unlock, err := lockData(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	b, err := broker.New(ctx, cfg, broker.Options{Build: build(), Log: log})
	if err != nil {
		return err
	}
	return b.Run(ctx)
}

// reload takes over what can change while the broker runs: the level of the log.
func (c *cli) reload(context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if err := cfg.Fault(); err != nil {
		return err
	}
	if level := c.level.Load(); level != nil {
		return level.UnmarshalText([]byte(cfg.Log.Level))
	}
	return nil
}

// newLog makes the log on standard error; the configuration has been checked.
func newLog(cfg broker.LogConfig) (*zap.Logger, zap.AtomicLevel) {
	level, err := zap.ParseAtomicLevel(cfg.Level)
	if err != nil {
		level = zap.NewAtomicLevel()
	}
	form := zap.NewProductionEncoderConfig()
	form.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoder := zapcore.NewJSONEncoder(form)
	if cfg.Format == "console" {
		encoder = zapcore.NewConsoleEncoder(form)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), level)), level
}
