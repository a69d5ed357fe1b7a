//go:build linux

package vpcd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

func (d *Daemon) confDir() string { return filepath.Join(d.dir, "reader.conf.d") }

// configure picks a free pair of ports a reader (each entry makes two virtual slots, on neighbouring ports) and writes one file each.
func (d *Daemon) configure() error {
	if err := os.MkdirAll(d.confDir(), 0o700); err != nil {
		return err
	}
	port := firstPort
	for i, name := range d.names {
		for ; !free(port) || !free(port+1); port += 2 {
			if port > firstPort+2000 {
				return fmt.Errorf("no free ports for reader %q from %d on", name, firstPort)
			}
		}
		lib, err := d.driverFor(i)
		if err != nil {
			return err
		}
		entry := fmt.Sprintf("FRIENDLYNAME \"%s\"\nDEVICENAME /dev/null:0x%X\nLIBPATH %s\nCHANNELID 0x%X\n", name, port, lib, port)
		file := filepath.Join(d.confDir(), strconv.Itoa(i))
		if err := os.WriteFile(file, []byte(entry), 0o600); err != nil {
			return err
		}
		d.ports = append(d.ports, port)
		port += 2
	}
	return nil
}

// driverFor returns the driver library for reader i. The driver keeps its connections in one table by slot number, whatever the entry, so two
// entries on one library would listen on the same port: each further reader gets a copy, which the loader takes for another library.
func (d *Daemon) driverFor(i int) (string, error) {
	if i == 0 {
		return driver, nil
	}
	code, err := os.ReadFile(driver)
	if err != nil {
		return "", err
	}
	lib := filepath.Join(d.dir, "libifdvpcd-"+strconv.Itoa(i)+".so")
	return lib, os.WriteFile(lib, code, 0o700)
}

func free(port int) bool {
	l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// nobodyServes is an error if a PC/SC service answers on the socket: ours would take its place.
func nobodyServes() error {
	conn, err := net.Dial("unix", socketPath)
	if err != nil {
		return nil
	}
	_ = conn.Close()
	return fmt.Errorf("a PC/SC service already serves %s: run in a namespace of your own", socketPath)
}
