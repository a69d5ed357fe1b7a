package quota

import (
	"errors"
	"fmt"
)

// Limits is what callers may take, as it is configured. 0 stands for the default, -1 for no limit.
type Limits struct {
	// Connections is how many there may be at once, in all and from one address.
	Connections           int `yaml:"connections"`
	ConnectionsPerAddress int `yaml:"connections_per_address"`
	// TapsPerSecond is for one station; for a moment it may take five times as many.
	TapsPerSecond int `yaml:"taps_per_second"`
	// CallsPerSecond is for all else of one caller; for a moment it may take five times as many.
	CallsPerSecond int `yaml:"calls_per_second"`
	// EnrolPerSecond is for one address without a certificate: enrolments, returns, logins; for a moment ten times as many. All together may take four times that.
	EnrolPerSecond int `yaml:"enrol_per_second"`
	// FailuresPerMinute is for one address without a certificate: wrong tokens, bad signatures.
	FailuresPerMinute int `yaml:"failures_per_minute"`
	// RecordsPerSecond is for one station; for a moment it may take twice as many.
	RecordsPerSecond int `yaml:"records_per_second"`
	// RecordsAtOnce is how many may be on their way into the store at the same moment; an eighth of it while somebody taps.
	RecordsAtOnce int `yaml:"records_at_once"`
}

// Filled has the defaults in place of zeros.
func (l Limits) Filled() Limits {
	for value, or := range map[*int]int{
		&l.Connections: 8192, &l.ConnectionsPerAddress: 2048, &l.TapsPerSecond: 1000, &l.CallsPerSecond: 1000, &l.EnrolPerSecond: 50,
		&l.FailuresPerMinute: 120, &l.RecordsPerSecond: 20_000, &l.RecordsAtOnce: 4000,
	} {
		if *value == 0 {
			*value = or
		}
	}
	return l
}

// Check names every fault.
func (l Limits) Check() error {
	var faults []error
	for name, value := range map[string]int{
		"connections": l.Connections, "connections_per_address": l.ConnectionsPerAddress, "taps_per_second": l.TapsPerSecond,
		"calls_per_second": l.CallsPerSecond, "enrol_per_second": l.EnrolPerSecond, "failures_per_minute": l.FailuresPerMinute,
		"records_per_second": l.RecordsPerSecond, "records_at_once": l.RecordsAtOnce,
	} {
		if value < -1 {
			faults = append(faults, fmt.Errorf("limits.%s %d: want a number above 0, 0 for the default, or -1 for no limit", name, value))
		}
	}
	return errors.Join(faults...)
}
