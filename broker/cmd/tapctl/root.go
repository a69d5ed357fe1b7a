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
	context  string
	broker   string
	output   string
	timeout  time.Duration
	in       io.Reader
	errs     io.Writer
}

// root is the whole command tree.
func root(in io.Reader, out, errs io.Writer) *cobra.Command {
	o := &options{in: in, errs: errs}
	c := &cobra.Command{
		Use:   "tapctl",
		Short: "Administer a Tapline broker",
		Long: `tapctl manages what a broker knows: people, badges, shared accounts, stations,
enrolment tokens and policy; and asks it who was where.

You are known by an identity: at the broker's own machine the one that "tapbroker
serve" leaves there (DATA/admin), elsewhere the one that "tapctl login" fetches
against an invitation ("tapctl admin invite") or through your OIDC provider. It is
kept in your configuration folder, one context a broker; --context or
TAPCTL_CONTEXT chooses, "tapctl context use" for good. With several brokers the
first that answers is taken.

A first station in five lines:
  tapctl account put press-hmi --station plant/press/
  tapctl person put p-1001 --name "Anna B." --role operator
  tapctl badge assign p-1001 --uid 04A1B2C3
  tapctl station put plant/press/line-4/hmi-1 --account press-hmi
  tapctl token create plant/press/line-4/hmi-1

Exit codes: 0 done, 1 any other fault, 2 wrong command line, 3 identity or
configuration unreadable, 4 not permitted, 9 no broker answers, 10 the broker
refused ("tapctl exit-codes").`,
		Version: version,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if o.output != "table" && o.output != "json" {
				return usage("-o %q: want table or json", o.output)
			}
			if o.timeout <= 0 {
				return usage("--timeout %s: want a time above 0", o.timeout)
			}
			for _, a := range addresses(o.broker) {
				if _, _, err := net.SplitHostPort(a); err != nil {
					return usage("--broker %q: want host:port", a)
				}
			}
			if o.context != "" {
				return checkContext(o.context)
			}
			return nil
		},
	}
	c.SetIn(in)
	c.SetOut(out)
	c.SetErr(errs)
	f := c.PersistentFlags()
	f.StringVar(&o.identity, "identity", os.Getenv("TAPCTL_IDENTITY"), "identity folder (TAPCTL_IDENTITY; default: the context's, else "+defaultIdentity+")")
	f.StringVar(&o.context, "context", os.Getenv("TAPCTL_CONTEXT"), "context: which of your identities (TAPCTL_CONTEXT; default: the one in use)")
	f.StringVar(&o.broker, "broker", os.Getenv("TAPCTL_BROKER"), "brokers as host:port, with commas between (TAPCTL_BROKER; default: the identity's)")
	f.StringVarP(&o.output, "output", "o", "table", "table or json")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "how long to wait for the broker")
	c.AddCommand(
		personCommands(o), badgeCommands(o), shiftCommands(o), importCommand(o), scimCommands(o),
		accountCommands(o), stationCommands(o), zoneCommands(o), tokenCommands(o), policyCommands(o),
		leaseCommands(o), alarmCommands(o), emergencyCommands(o), syncCommands(o), sessionCommands(o), whoCommand(o),
		exportCommand(o), logCommands(o), trustCommand(o), authorityCommands(o), statusCommand(o), versionCommand(),
		adminCommands(o), loginCommand(o), whoamiCommand(o), contextCommands(o), actsCommands(o), exitCodes(),
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
