//go:build linux

package main

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tapline/agent"
	"tapline/agent/clock"
)

// agentName is the command's.
const agentName = "agent"

// agentCommand is an agent whose clocks can be moved. Nothing moves those of one program alone, so the benchmark of faults runs the agent's package in
// a process of its own, as tapagent does.
func agentCommand() *cobra.Command {
	var config, moved string
	c := &cobra.Command{Use: agentName, Hidden: true, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		cfg, err := agent.LoadConfig(config)
		if err != nil {
			return err
		}
		source, err := clock.OS()
		if err != nil {
			return err
		}
		form := zap.NewProductionEncoderConfig()
		log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(form), zapcore.Lock(os.Stderr), zapcore.InfoLevel))
		a, err := agent.New(cfg, agent.Options{
			Build: "bench", Log: log, Panel: os.Stdout, Clock: movedClock(source, moved),
			Reload: func() (agent.Config, error) { return agent.LoadConfig(config) },
		})
		if err != nil {
			return err
		}
		return a.Run(c.Context())
	}}
	c.Flags().StringVar(&config, "config", "", "the agent's configuration")
	c.Flags().StringVar(&moved, "clock", "", "file with how far its clocks are moved, in seconds: wall clock, time since boot")
	return c
}

// movedClock adds what the file says now.
func movedClock(source clock.Source, file string) clock.Source {
	return func() clock.Reading {
		r := source()
		wall, boot := readMoved(file)
		r.Wall, r.Monotonic = r.Wall.Add(wall), r.Monotonic+boot
		return r
	}
}

func readMoved(file string) (wall, boot time.Duration) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, 0
	}
	var moved [2]time.Duration
	for i, f := range strings.Fields(string(b)) {
		if s, err := strconv.ParseInt(f, 10, 64); err == nil && i < len(moved) {
			moved[i] = time.Duration(s) * time.Second
		}
	}
	return moved[0], moved[1]
}

// moveClock moves the clocks of the agent that reads the file.
func moveClock(_ context.Context, file string, wall, boot time.Duration) error {
	text := strconv.FormatInt(int64(wall.Seconds()), 10) + " " + strconv.FormatInt(int64(boot.Seconds()), 10)
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
