package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"tapline/agent"
	"tapline/agent/gate"
	"tapline/installer/osservice"
)

func (c *cli) gateCommand() *cobra.Command {
	cfg := gate.Config{}
	var level string
	cmd := &cobra.Command{
		Use:   "gate",
		Short: "Hold the input of this graphical session while nobody has tapped",
		Long: `Runs in the graphical session of a station, as the account of that session, and
does what the agent says: in the mode "gate" it holds keyboard and pointer while
nobody has tapped, so that the view stays visible and nothing can be operated. A
banner says so; holding its emergency button for two seconds opens the station.

In every mode it tells the agent that somebody uses the station, so that a session
that nobody uses ends (session.idle). It lets go when the agent is away. Packages
start it with the session; it reads no configuration but what the agent sends.

X11 alone lets a program hold the input. On Wayland it says so to the agent, which
then runs the station in the mode "attribute".`,
		Example: "  tapagent gate                     (in the session's autostart)\n  systemctl --user start tapline-gate",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cfg.Socket == "" {
				def, err := agent.DefaultConfig()
				if err != nil {
					return err
				}
				cfg.Socket = def.Socket
			}
			if cfg.Display == "" && !cfg.Wayland {
				return osservice.Fault(osservice.Usage, errors.New("no display: DISPLAY is not set"), "start it inside the graphical session, or give --display")
			}
			log, _, err := newLog(agent.LogConfig{Level: level, Format: "console"})
			if err != nil {
				return osservice.Fault(osservice.Usage, err, "--log-level debug, info, warn or error")
			}
			cfg.Log = log
			beat, done := osservice.Watchdog()
			defer done()
			cfg.Beat = beat
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return gate.Run(ctx, cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Socket, "socket", "", "the agent's socket (default: where packages put it)")
	f.StringVar(&cfg.Display, "display", os.Getenv("DISPLAY"), "X display")
	f.StringVar(&cfg.Session, "session", os.Getenv("XDG_SESSION_ID"), "the session's number at logind")
	f.BoolVar(&cfg.Wayland, "wayland", os.Getenv("WAYLAND_DISPLAY") != "" || os.Getenv("XDG_SESSION_TYPE") == "wayland", "the session runs on Wayland")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	return cmd
}
