package broker

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/zap/zapcore"

	"tapline/broker/admin"
	"tapline/broker/login"
	"tapline/broker/openbao"
	"tapline/broker/quota"
	"tapline/broker/sync"
	"tapline/broker/trace"
	"tapline/broker/vault"
	"tapline/installer/osservice"
)

// Config is how a broker runs. Every key has a default; an unknown key is an error.
type Config struct {
	// Listen is where stations, administrators and auditors call, host:port.
	Listen string `yaml:"listen"`
	// Data holds the store, the master key and the administrator's identity.
	Data string `yaml:"data"`
	// MasterKey is where the key lies that opens what is sealed: auto, file (in Data), credential (of systemd) or keyring.
	MasterKey string `yaml:"master_key"`
	// Store is the address of a PostgreSQL database, postgres://user@host:port,host:port/database, without a password. Empty: SQLite in Data.
	Store string `yaml:"store"`
	// StorePasswordFile holds the database's password, which is read again for each connection.
	StorePasswordFile string `yaml:"store_password_file"`
	// Site names the plant in certificates; it cannot change once stations are enrolled.
	Site string `yaml:"site"`
	// Hosts are the names and addresses that stations call the broker by; the first one goes into tokens. Default: the machine's name.
	Hosts []string `yaml:"hosts"`
	// Brokers are the addresses that stations are told to call, host:port. Default: each host with the port of listen.
	Brokers []string `yaml:"brokers"`
	// TwoPerson is whom the rule binds that one officer alone must not give a person both badge and PIN: staff (all but the administrator),
	// everyone or nobody.
	TwoPerson string `yaml:"two_person"`
	// MetricsListen serves /metrics and /healthz over plain HTTP; empty for nowhere. Default: loopback.
	MetricsListen string    `yaml:"metrics_listen"`
	Log           LogConfig `yaml:"log"`
	// Limits is what callers may take.
	Limits quota.Limits `yaml:"limits"`
	// LDAP keeps people as a directory has them; nothing for none.
	LDAP *sync.Config `yaml:"ldap"`
	// OpenBao is an outside vault for secrets of shared accounts; nothing for none.
	OpenBao *openbao.Config `yaml:"openbao"`
	// AutoApproveBadges gives a badge that somebody asks for at a station at once, if they showed another one that is at least as good.
	AutoApproveBadges bool `yaml:"auto_approve_badges"`
	// ScimListen serves SCIM 2.0 over HTTPS to identity providers; empty for nowhere.
	ScimListen string     `yaml:"scim_listen"`
	Scim       ScimConfig `yaml:"scim"`
	// OIDC lets people log in by an OpenID Connect issuer; nothing for invitations alone.
	OIDC *login.Config `yaml:"oidc"`
	// Trace sends OpenTelemetry traces to a collector; nothing for none.
	Trace *trace.Config `yaml:"trace"`
	// EmergencyClaimWithin is after what time an emergency that two people have not answered for is an alarm. Default: 8h.
	EmergencyClaimWithin time.Duration `yaml:"emergency_claim_within"`
	// Witnesses are asked to cosign the checkpoints of the Merkle log. Default: none.
	Witnesses []WitnessConfig `yaml:"witnesses"`
}

// claimWithin is EmergencyClaimWithin, or its default.
func (c Config) claimWithin() time.Duration { return cmp.Or(c.EmergencyClaimWithin, 8*time.Hour) }

// LogConfig says how much is logged, on standard error.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // console or json
}

// Spec describes the broker as a service.
func Spec() osservice.Spec {
	return osservice.Spec{
		Name: "tapline-broker", DisplayName: "Tapline broker", Description: "Decides taps and keeps the records of all stations", ManualReady: true,
	}
}

// DefaultConfig is the configuration of a broker that has none.
func DefaultConfig() (Config, error) {
	dir, err := osservice.Folder(Spec())
	if err != nil {
		return Config{}, err
	}
	return Config{
		Listen: ":8443", Data: dir, MasterKey: vault.Auto, Site: "plant", MetricsListen: "127.0.0.1:9464", Log: LogConfig{Level: "info", Format: "console"},
	}, nil
}

// LoadConfig reads the file at path over the defaults. An empty path is the place where packages put it, which may be missing.
func LoadConfig(path string) (Config, error) {
	cfg, err := DefaultConfig()
	if err != nil {
		return Config{}, fmt.Errorf("default configuration: %w", err)
	}
	named := path != ""
	if !named {
		if path, err = osservice.ConfigFile(Spec()); err != nil {
			return Config{}, fmt.Errorf("find configuration: %w", err)
		}
	}
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
	case err != nil:
		return Config{}, fmt.Errorf("read configuration: %w", err)
	default:
		if cfg, err = cfg.read(b); err != nil {
			return Config{}, fmt.Errorf("configuration %s: %w", path, err)
		}
	}
	return cfg, cfg.fill()
}

// read takes over what a file says. A file that says nothing, the packages' own, leaves every default, and so does a key without a value: the
// decoder would empty them.
func (c Config) read(b []byte) (Config, error) {
	said := c
	err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&said)
	if errors.Is(err, io.EOF) || err == nil && reflect.DeepEqual(said, Config{}) {
		return c, nil
	}
	said.Listen, said.Data, said.Site = cmp.Or(said.Listen, c.Listen), cmp.Or(said.Data, c.Data), cmp.Or(said.Site, c.Site)
	said.MasterKey = cmp.Or(said.MasterKey, c.MasterKey)
	said.Log.Level, said.Log.Format = cmp.Or(said.Log.Level, c.Log.Level), cmp.Or(said.Log.Format, c.Log.Format)
	return said, err
}

// fill works out what is said by default from what is said.
func (c *Config) fill() error {
	if len(c.Hosts) == 0 {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("name of this machine: %w", err)
		}
		c.Hosts = []string{name, "localhost", "127.0.0.1", "::1"}
	}
	_, port, err := net.SplitHostPort(c.Listen)
	if err == nil && len(c.Brokers) == 0 {
		c.Brokers = []string{net.JoinHostPort(c.Hosts[0], port)}
	}
	return nil
}

// sitePattern is what a site's name may be: it is the host part of names in certificates.
const sitePattern = `^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$`

// Check names every fault of the configuration at once, without touching anything.
func (c Config) Check() []error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !goodAddress(c.Listen) {
		bad("listen %q: want host:port or :port", c.Listen)
	}
	if c.MetricsListen != "" {
		if !goodAddress(c.MetricsListen) {
			bad("metrics_listen %q: want host:port, or nothing", c.MetricsListen)
		}
	}
	if c.EmergencyClaimWithin != 0 && c.EmergencyClaimWithin < time.Minute {
		bad("emergency_claim_within %s: want at least 1m", c.EmergencyClaimWithin)
	}
	if c.ScimListen != "" && !goodAddress(c.ScimListen) {
		bad("scim_listen %q: want host:port, or nothing", c.ScimListen)
	}
	faults = append(faults, c.checkPorts()...)
	if (c.Scim.Certificate == "") != (c.Scim.Key == "") {
		bad("scim: certificate and key go together")
	}
	if err := c.Scim.mapping().Check(); err != nil {
		bad("scim.%w", err)
	}
	if _, err := c.witnesses(); err != nil {
		faults = append(faults, err)
	}
	if c.Data == "" {
		bad("data: no folder is named")
	}
	if !slices.Contains([]string{"", vault.Auto, vault.InFile, vault.Credential, vault.Keyring}, c.MasterKey) {
		bad("master_key %q: want auto, file, credential or keyring", c.MasterKey)
	}
	faults = append(faults, c.checkStore()...)
	if ok, err := regexp.MatchString(sitePattern, c.Site); err != nil || !ok {
		bad("site %q: want lower-case letters, digits, - and .", c.Site)
	}
	for _, h := range c.Hosts {
		if h == "" || strings.ContainsAny(h, " /") || net.ParseIP(h) == nil && strings.Contains(h, ":") {
			bad("hosts: %q is neither a name nor an address (no port here)", h)
		}
	}
	for _, b := range c.Brokers {
		if host, _, err := net.SplitHostPort(b); err != nil || host == "" || !goodAddress(b) {
			bad("brokers: %q: want host:port", b)
		}
	}
	if err := c.Limits.Check(); err != nil {
		bad("%w", err)
	}
	switch c.TwoPerson {
	case "", admin.TwoPersonStaff, admin.TwoPersonEveryone, admin.TwoPersonNobody:
	default:
		bad("two_person %q: want staff, everyone or nobody", c.TwoPerson)
	}
	if _, err := zapcore.ParseLevel(c.Log.Level); err != nil {
		bad("log.level %q: want debug, info, warn or error", c.Log.Level)
	}
	if c.Log.Format != "console" && c.Log.Format != "json" {
		bad("log.format %q: want console or json", c.Log.Format)
	}
	if c.LDAP != nil {
		faults = append(faults, c.LDAP.Check()...)
	}
	if c.OpenBao != nil {
		faults = append(faults, c.OpenBao.Check()...)
	}
	if c.OIDC != nil {
		faults = append(faults, c.OIDC.Check()...)
	}
	if c.Trace != nil {
		faults = append(faults, c.Trace.Check()...)
	}
	return faults
}

// checkPorts names the listeners that would take each other's address.
func (c Config) checkPorts() []error {
	var faults []error
	listeners := [][2]string{{"listen", c.Listen}, {"metrics_listen", c.MetricsListen}, {"scim_listen", c.ScimListen}}
	for i, a := range listeners {
		for _, b := range listeners[i+1:] {
			if meet(a[1], b[1]) {
				faults = append(faults, fmt.Errorf("%s %q: %s %q has this address already: give it another port", b[0], b[1], a[0], a[1]))
			}
		}
	}
	return faults
}

// meet reports whether two listeners cannot both have their addresses. Port 0 is any free one.
func meet(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	all := []string{"", "0.0.0.0", "::"}
	return hostA == hostB || slices.Contains(all, hostA) || slices.Contains(all, hostB)
}

// goodAddress reports whether s is host:port with a port that there is.
func goodAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// Fault is Check as one error for a command, nil if there is none.
func (c Config) Fault() error {
	return osservice.Fault(osservice.Config, errors.Join(c.Check()...), "correct the configuration; \"tapbroker check\" names every fault at once")
}
