package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"tapline/agent"
	"tapline/agent/localapi"
	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// askWithin is how long the running agent may take to answer.
const askWithin = 5 * time.Second

// dial reaches the running agent.
func dial(cfg agent.Config) (taplinev1.LocalServiceClient, func(), error) {
	if _, err := os.Stat(cfg.Socket); runtime.GOOS != "windows" && errors.Is(err, fs.ErrNotExist) { // a look at a pipe would take a place in it
		return nil, nil, notRunning(fmt.Errorf("no agent answers at %s", cfg.Socket))
	}
	conn, err := grpc.NewClient("passthrough:///agent", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return localapi.Dial(ctx, cfg.Socket) }))
	if err != nil {
		return nil, nil, err
	}
	return taplinev1.NewLocalServiceClient(conn), func() { _ = conn.Close() }, nil
}

// call calls the running agent, whose answers may take so long in all.
func call(ctx context.Context, cfg agent.Config, within time.Duration, do func(context.Context, taplinev1.LocalServiceClient) error) error {
	local, done, err := dial(cfg)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return do(ctx, local)
}

// ask calls the agent that the command's configuration is of.
func (c *cli) ask(ctx context.Context, within time.Duration, do func(context.Context, taplinev1.LocalServiceClient) error) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	return call(ctx, cfg, within, do)
}

func notRunning(err error) error {
	return osservice.Fault(osservice.NotRunning, err, "\"tapagent service status\" says whether the service runs; \"tapagent check\" finds what keeps it from running")
}

// said is what the agent said, without the words of the transport around it.
func said(err error) error { return errors.New(status.Convert(err).Message()) }

// localFault says what an error of the local API means.
func localFault(err error) error {
	switch wire.KindOf(err) {
	case wire.None:
		return nil
	case wire.Unavailable, wire.Deadline:
		return notRunning(err)
	case wire.Denied:
		return osservice.Fault(osservice.NotPermitted, said(err), "run it as root or as the agent's own account")
	case wire.NotFound:
		return osservice.Fault(osservice.Refused, said(err), "")
	}
	return err
}

func (c *cli) endCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "end",
		Short: "End the session at this station",
		Long:  "Ends the session that is in force, as the person at the station could. It is durable when the command returns.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.ask(cmd.Context(), askWithin, func(ctx context.Context, local taplinev1.LocalServiceClient) error {
				who, err := local.WhoIsHere(ctx, &taplinev1.WhoIsHereRequest{})
				if err != nil {
					return localFault(err)
				}
				id := who.GetPresence().GetSession()
				if id == "" {
					_, err := fmt.Fprintln(cmd.OutOrStdout(), "nobody is here")
					return err
				}
				if _, err := local.EndSession(ctx, &taplinev1.EndSessionRequest{Session: id}); err != nil {
					return localFault(err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "ended session %s\n", id)
				return err
			})
		},
	}
}
