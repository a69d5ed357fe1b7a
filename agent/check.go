package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc/connectivity"

	"tapline/agent/identity"
	"tapline/agent/keystore"
	"tapline/agent/statefile"
	"tapline/installer/osservice"
	"tapline/proto/record"
	"tapline/proto/wire"
	"tapline/reader"
	"tapline/reader/pcsc"
)

// Finding is the outcome of one check.
type Finding struct {
	What string // what was looked at
	Good string // what was found, when all is well
	Err  error  // what is wrong, with a hint and an exit code; nil when all is well
}

// Says is the finding in words.
func (f Finding) Says() string {
	if f.Err != nil {
		return strings.ReplaceAll(f.Err.Error(), "\n", "; ")
	}
	return f.Good
}

// Check looks at everything that a station needs and gives what it found, all of it. It changes nothing that matters and may run beside the agent.
func Check(ctx context.Context, cfg Config) []Finding {
	list := []Finding{{What: "configuration", Good: "no unknown keys, all values make sense", Err: cfg.Fault()}}
	list = append(list, checkState(cfg))
	keys, finding := checkKeys(cfg)
	list = append(list, finding)
	if keys != nil {
		id, finding := checkIdentity(cfg, keys)
		list = append(list, finding)
		if id != nil {
			list = append(list, checkBrokers(ctx, cfg, id)...)
		}
	}
	list = append(list, checkLogons(ctx, cfg))
	return append(list, checkReaders(ctx, cfg)...)
}

func checkState(cfg Config) Finding {
	f := Finding{What: "state folder", Good: cfg.StateDir + " is there and closed to others"}
	info, err := os.Stat(cfg.StateDir)
	switch {
	case err != nil:
		f.Err = osservice.Fault(osservice.Config, err, "\"tapagent enrol\" makes it; or set state_dir, or run this as root or the agent's account")
	case !info.IsDir():
		f.Err = osservice.Fault(osservice.Config, fmt.Errorf("%s is not a folder", cfg.StateDir), "set state_dir to a folder")
	default:
		if probe, err := statefile.OS().CreateTemp(cfg.StateDir, "check-*"); err != nil {
			f.Err = osservice.Fault(osservice.NotPermitted, err, "run this as root or as the agent's account, and see that the disk is not read-only or full")
		} else {
			f.Err = errors.Join(probe.Close(), os.Remove(probe.Name()))
		}
	}
	return f
}

func checkKeys(cfg Config) (keystore.Store, Finding) {
	f := Finding{What: "key store"}
	if _, err := os.Stat(cfg.StateDir); err != nil {
		f.Err = osservice.Fault(osservice.Config, errors.New("not there: no state folder"), "")
		return nil, f
	}
	keys, err := OpenKeys(cfg)
	if err != nil {
		f.Err = err
		return nil, f
	}
	f.Good = keys.Where()
	return keys, f
}

func checkIdentity(cfg Config, keys keystore.Store) (*identity.Manager, Finding) {
	f := Finding{What: "enrolment"}
	m, err := identity.Load(identityDir(cfg.StateDir), keys, identity.Options{})
	if err != nil {
		f.Err = osservice.Fault(osservice.Config, err, "make a token at the broker (\"tapctl token create STATION\"), then \"tapagent enrol\"")
		return nil, f
	}
	id := m.Current()
	f.Good = fmt.Sprintf("%s, certificate until %s", id.Station, id.NotAfter.Local().Format("2006-01-02 15:04"))
	switch {
	case cfg.Station != "" && record.StationID(cfg.Station) != id.Station:
		f.Err = osservice.Fault(osservice.Config, fmt.Errorf("enrolled as %s, the configuration says %s", id.Station, cfg.Station), "correct station, or enrol again with --replace")
	case !m.Now().Before(id.NotAfter):
		f.Err = osservice.Fault(osservice.Failure, fmt.Errorf("the certificate of %s ended on %s", id.Station, id.NotAfter.Local().Format("2006-01-02")),
			"the running agent gets a new one by itself when it reaches the broker")
	}
	return m, f
}

// checkBrokers makes a connection to each broker, and looks at the clock on the way: a wrong one looks like a bad certificate.
func checkBrokers(ctx context.Context, cfg Config, m *identity.Manager) []Finding {
	clock := Finding{What: "clock", Good: time.Now().Format("2006-01-02 15:04:05 MST")}
	if trusted := m.Now(); time.Until(trusted) > time.Minute {
		clock.Err = osservice.Fault(osservice.Failure, fmt.Errorf("this machine's clock says %s, the broker said %s before", time.Now().Format(time.RFC3339), trusted.Format(time.RFC3339)),
			"set the clock, or let a time service do it")
	}
	list := []Finding{clock}
	brokers := cfg.Brokers
	if len(brokers) == 0 {
		brokers = m.Current().Brokers
	}
	for _, address := range brokers {
		f := Finding{What: "broker", Good: address + ": reached, and it is ours"}
		if err := reach(ctx, address, m); err != nil {
			f.Err = osservice.Fault(osservice.Unavailable, fmt.Errorf("%s: %w", address, err), "see that the broker runs there and that the network lets this machine reach it")
		}
		list = append(list, f)
	}
	return list
}

// reachWithin bounds one try.
const reachWithin = 4 * time.Second

// reach makes a TLS connection both ways and no call.
func reach(ctx context.Context, address string, m *identity.Manager) error {
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	conn, err := wire.Dial(address, m.TLS())
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.Connect()
	for {
		state := conn.GetState()
		if state == connectivity.Ready {
			return nil
		}
		if state == connectivity.TransientFailure {
			return errors.New("no connection")
		}
		if !conn.WaitForStateChange(ctx, state) {
			return errors.New("no answer in time")
		}
	}
}

// checkReaders watches the smart card service for a moment.
func checkReaders(ctx context.Context, cfg Config) []Finding {
	var list []Finding
	if p := cfg.Readers.PCSC; p.Enabled {
		list = append(list, checkPCSC(ctx, p))
	}
	for _, s := range cfg.Readers.Serial {
		f := Finding{What: "serial reader", Good: s.Device + " is there"}
		if _, err := os.Stat(s.Device); err != nil {
			f.Err = osservice.Fault(osservice.Failure, err, "plug it in, or correct readers.serial")
		}
		list = append(list, f)
	}
	if len(list) == 0 {
		list = append(list, Finding{What: "readers", Err: osservice.Fault(osservice.Config, errors.New("none is configured"), "set readers.pcsc.enabled: true")})
	}
	return list
}

// watchReaders is how long a reader may take to show itself.
const watchReaders = 1500 * time.Millisecond

func checkPCSC(ctx context.Context, p PCSC) Finding {
	f := Finding{What: "readers"}
	ctx, cancel := context.WithTimeout(ctx, watchReaders)
	defer cancel()
	var names []string
	source, err := pcsc.New(pcsc.Config{Include: p.Match, Exclude: p.Ignore, Settle: time.Millisecond})
	if err == nil {
		_ = source.Run(ctx, func(e reader.Event) {
			if e.Kind == reader.Attached {
				names = append(names, string(e.Reader))
			}
		})
		if len(names) == 0 {
			err = errors.New("no reader answers through the smart card service (PC/SC)")
		}
	}
	if err != nil {
		f.Err = osservice.Fault(osservice.Failure, err, "plug a reader in; see that pcscd (Windows: the service Smart Card) runs and lets this account use it")
		return f
	}
	f.Good = strings.Join(names, ", ")
	return f
}
