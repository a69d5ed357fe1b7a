//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// Cable is the way from stations to a broker with an address of its own, in this program's own network namespace (vpcd.Isolate). Once it is
// cut, packets vanish without a word, as behind a dead switch or a firewall that drops: no reset, no error, only silence.
//
// A program can only be told that its own machine is unreachable, never that it does not answer; so the address is local while the cable is whole, and
// lies behind a device that nobody listens on while it is cut.
type Cable struct {
	whole bool
}

// What the cable is made of. Both ends of the device are up; nothing reads from the far one.
const (
	cableFar  = "10.99.0.1" // the broker's
	cableNear = "10.99.0.2"
	cableNIC  = "cable"
)

// NewCable lays a cable that is whole.
func NewCable(ctx context.Context) (*Cable, error) {
	for _, args := range []string{
		"link add " + cableNIC + " type veth peer name " + cableNIC + "-end",
		"addr add " + cableNear + "/24 dev " + cableNIC,
		"link set " + cableNIC + " up",
		"link set " + cableNIC + "-end up",
		"neigh add " + cableFar + " lladdr 02:00:00:00:00:01 dev " + cableNIC + " nud permanent",
	} {
		if err := ip(ctx, args); err != nil {
			return nil, fmt.Errorf("lay cable: %w", err)
		}
	}
	c := &Cable{}
	return c, c.Mend(ctx)
}

// Address is the broker's.
func (c *Cable) Address() string { return cableFar }

// Cut makes every packet vanish.
func (c *Cable) Cut(ctx context.Context) error { return c.set(ctx, false) }

// Mend undoes Cut.
func (c *Cable) Mend(ctx context.Context) error { return c.set(ctx, true) }

func (c *Cable) set(ctx context.Context, whole bool) error {
	if c.whole == whole {
		return nil
	}
	verb := "del"
	if whole {
		verb = "add"
	}
	if err := ip(ctx, "route "+verb+" local "+cableFar+" dev lo table local src "+cableNear); err != nil {
		return fmt.Errorf("cut or mend cable: %w", err)
	}
	c.whole = whole
	return nil
}

// Remove takes the cable away.
func (c *Cable) Remove(ctx context.Context) error {
	return errors.Join(c.Cut(ctx), ip(ctx, "link del "+cableNIC))
}

// ip is the command of iproute2.
func ip(ctx context.Context, args string) error {
	out, err := exec.CommandContext(ctx, "ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, strings.TrimSpace(string(out)))
	}
	return nil
}
