package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tapline/agent"
	"tapline/installer/osservice"
)

func (c *cli) runCommand(spec osservice.Spec, run osservice.Func) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the station in the foreground",
		Long: `Runs the station until it is stopped (Ctrl-C, SIGTERM). Who is here is printed on
standard output, the log goes to standard error. SIGHUP reads the configuration
again.

If an installer left a token and the station is not enrolled yet, it enrols first
and destroys the token; while the broker cannot be reached, it keeps trying.`,
		Example: "  tapagent run\n  tapagent run --config ./agent.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return osservice.Run(spec, run) },
	}
}

// run is the service.
func (c *cli) run(ctx context.Context) error {
	cfg, err := c.load()
	if err == nil {
		err = cfg.Fault()
	}
	if err != nil {
		return err
	}
	log, level, err := newLog(cfg.Log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	if err := agent.EnrolHandover(ctx, cfg, build(), log); err != nil {
		return err
	}
	a, err := agent.New(cfg, agent.Options{Build: build(), Log: log, Level: &level, Panel: os.Stdout, Reload: c.load, Machine: c.machine})
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// reload is what a signal brings about. It goes over the local API, because the signal arrives outside of the agent.
func (c *cli) reload(ctx context.Context) error {
	_, err := c.askReload(ctx)
	return err
}

// newLog makes the log on standard error.
func newLog(cfg agent.LogConfig) (*zap.Logger, zap.AtomicLevel, error) {
	level, err := zap.ParseAtomicLevel(cfg.Level)
	if err != nil {
		return nil, level, err
	}
	form := zap.NewProductionEncoderConfig()
	form.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoder := zapcore.NewJSONEncoder(form)
	if cfg.Format == "console" {
		encoder = zapcore.NewConsoleEncoder(form)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), level)), level, nil
}
