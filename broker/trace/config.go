package trace

import (
	"cmp"
	"fmt"
	"net"
	"strconv"

	"tapline/proto/wire"
)

// Config is the key "trace" of the broker's configuration.
type Config struct {
	// OTLP is the collector's address, host:port, where it takes OTLP over gRPC.
	OTLP string `yaml:"otlp"`
	// Sample is which share of calls is traced, above 0 up to 1. Default: 0.1.
	Sample float64 `yaml:"sample"`
	// Insecure speaks without TLS, to a collector on the same machine say.
	Insecure bool `yaml:"insecure"`
	// CAFile holds the roots, PEM, that the collector's certificate leads to. Default: those of the system.
	CAFile string `yaml:"ca_file"`
}

const usualSample = 0.1

func (c Config) sample() float64 { return cmp.Or(c.Sample, usualSample) }

// Check names every fault at once. It reads ca_file and asks nobody: a collector that is away is no fault.
func (c Config) Check() []error {
	var faults []error
	host, port, err := net.SplitHostPort(c.OTLP)
	if _, number := strconv.ParseUint(port, 10, 16); err != nil || host == "" || number != nil {
		faults = append(faults, fmt.Errorf("trace.otlp %q: want the collector's host:port, such as 127.0.0.1:4317", c.OTLP))
	}
	if !(c.Sample >= 0 && c.Sample <= 1) {
		faults = append(faults, fmt.Errorf("trace.sample %v: want a share above 0 up to 1", c.Sample))
	}
	if c.Insecure && c.CAFile != "" {
		faults = append(faults, fmt.Errorf("trace.insecure, trace.ca_file: one of them"))
	}
	if _, err := wire.ReadRoots(c.CAFile); err != nil {
		faults = append(faults, fmt.Errorf("trace.ca_file: %w", err))
	}
	return faults
}
