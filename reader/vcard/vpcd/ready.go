//go:build linux

package vpcd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// waitReady waits until pcscd serves its socket and every virtual reader listens. It looks at the kernel's table instead of connecting
// to a reader, because a connection is an inserted card.
func (d *Daemon) waitReady() error {
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-d.ended:
			return fmt.Errorf("pcscd ended at once, see %s/pcscd.log", d.dir)
		case <-d.ctx.Done():
			return d.ctx.Err()
		case <-limit.C:
			return errors.New("pcscd is not ready after " + startLimit.String())
		case <-look.C:
			if serves() && d.listens() {
				return nil
			}
		}
	}
}

func serves() bool {
	conn, err := net.Dial("unix", socketPath)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

func (d *Daemon) listens() bool {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return false
	}
	open := map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(table)); lines.Scan(); {
		// "0: 00000000:9C40 00000000:0000 0A ...": local address, remote address, state; 0A is LISTEN.
		if f := strings.Fields(lines.Text()); len(f) > 3 && f[3] == "0A" {
			open[f[1][strings.IndexByte(f[1], ':')+1:]] = true
		}
	}
	for _, port := range d.ports {
		if !open[fmt.Sprintf("%04X", port)] {
			return false
		}
	}
	return true
}
