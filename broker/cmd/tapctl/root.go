package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tapline/installer/osservice"
)

// version is set by the linker.
var version = "dev"

// defaultIdentity is where a broker that runs as a service keeps the administrator's identity.
const defaultIdentity = "/var/lib/tapline-broker/admin"

// options are the flags that every command takes.
type options struct {
	identity string
	broker   string
	output   string
	timeout  time.Duration
	in       io.Reader
}

// root is the whole command tree.
func root(in io.Reader, out, errs io.Writer) *cobra.Command {
	o := &options{in: in}
	c := &cobra.Command{
		Use:   "tapctl",
		Short: "Administer a Tapline broker",
		Long: `tapctl manages what a broker knows: people, badges, shared accounts, stations,
enrolment tokens and policy; and asks it who was where.

It finds the broker through an identity folder, which "tapbroker serve" makes at
its first start (DATA/admin). Copy that folder to your workstation, readable
by you alone, and name it with --identity or TAPCTL_IDENTITY.

A first station in five lines:
  tapctl account put press-hmi --station plant/press/
  tapctl person put p-1001 --name "Anna B." --role operator
  tapctl badge assign p-1001 --uid 04A1B2C3
  tapctl station put plant/press/line-4/hmi-1 --account press-hmi
  tapctl token create plant/press/line-4/hmi-1`,
		Version: version,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if o.output != "table" && o.output != "json" {
				return usage("-o %q: want table or json", o.output)
			}
			if o.timeout <= 0 {
				return usage("--timeout %s: want a time above 0", o.timeout)
			}
			if _, _, err := net.SplitHostPort(o.broker); o.broker != "" && err != nil {
				return usage("--broker %q: want host:port", o.broker)
			}
			return nil
		},
	}
	c.SetIn(in)
	c.SetOut(out)
	c.SetErr(errs)
	f := c.PersistentFlags()
	f.StringVar(&o.identity, "identity", fallback(os.Getenv("TAPCTL_IDENTITY"), defaultIdentity), "identity folder (TAPCTL_IDENTITY)")
	f.StringVar(&o.broker, "broker", os.Getenv("TAPCTL_BROKER"), "broker as host:port (TAPCTL_BROKER; default: the identity folder's)")
	f.StringVarP(&o.output, "output", "o", "table", "table or json")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "how long to wait for the broker")
	c.AddCommand(
		personCommands(o), badgeCommands(o), shiftCommands(o), importCommand(o), scimCommands(o),
		accountCommands(o), stationCommands(o), zoneCommands(o), tokenCommands(o), policyCommands(o),
		leaseCommands(o), alarmCommands(o), syncCommands(o), sessionCommands(o), whoCommand(o),
		exportCommand(o), logCommands(o), trustCommand(o), authorityCommands(o), statusCommand(o), versionCommand(),
	)
	return c
}

// noun is a branch of the tree: a thing and what can be done with it.
func noun(use, short, long string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long}
	c.AddCommand(verbs...)
	return c
}

// usage is an error of the command line.
func usage(format string, args ...any) error {
	return osservice.Fault(osservice.Usage, fmt.Errorf(format, args...), "see --help")
}

// atTime reads a time flag: RFC 3339, or a duration into the past such as "2h".
func atTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	if d, err := time.ParseDuration(strings.TrimPrefix(text, "-")); err == nil {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usage("time %q: want RFC 3339, such as 2026-11-22T14:03:00Z, or an age such as 2h", text)
	}
	return t, nil
}

func fallback(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.ExactArgs(0), RunE: func(c *cobra.Command, _ []string) error {
		_, err := fmt.Fprintln(c.OutOrStdout(), "tapctl", version)
		return err
	}}
}
