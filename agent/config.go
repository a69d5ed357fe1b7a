package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/zap/zapcore"

	"tapline/agent/keystore"
	"tapline/agent/session"
	"tapline/installer/osservice"
	"tapline/proto/record"
)

// Config is a station's own settings. Every key has a default; an unknown key is an error.
type Config struct {
	// StateDir holds identity, journal, bundle and, where the OS has no keyring, keys.
	StateDir string `yaml:"state_dir"`
	// Socket is where programs on the station reach the local API.
	Socket string `yaml:"socket"`
	// KeyStore is auto, keyring or file.
	KeyStore string `yaml:"keystore"`
	// Station, if given, must be the name that the station was enrolled under.
	Station string `yaml:"station"`
	// Brokers, if given, are called instead of those that the broker names, host:port in order of preference.
	Brokers []string `yaml:"brokers"`
	// Mode is how far the station enforces; what cannot be had makes way for less.
	Mode string `yaml:"mode"`
	Gate Gate   `yaml:"gate"`
	Lock Lock   `yaml:"lock"`
	// SignIn is for the modes lock and signin.
	SignIn SignIn `yaml:"signin"`
	// Panel is terminal (lines on standard output, beside the page), web (the page alone) or none.
	Panel   string        `yaml:"panel"`
	Web     Web           `yaml:"web"`
	Readers Readers       `yaml:"readers"`
	Session SessionConfig `yaml:"session"`
	// Emergency says how long an emergency may last and how it is claimed.
	Emergency EmergencyConfig `yaml:"emergency"`
	// Tokens says for whom tokens are made that say who is here.
	Tokens TokensConfig `yaml:"tokens"`
	// Sign says what a signature of an operator takes.
	Sign SignConfig `yaml:"sign"`
	// AccountHook is a program, with its arguments, that sets the secret of a local account. It gets the account's name as its last argument and the
	// secret on standard input, and ends with 0 only when the account takes the secret. Empty: this station changes no accounts.
	AccountHook []string `yaml:"account_hook"`
	// DecideWithin is how long a tap waits for the broker.
	DecideWithin time.Duration `yaml:"decide_within"`
	// Heartbeat is the time between two signs of life in the journal.
	Heartbeat time.Duration `yaml:"heartbeat"`
	Journal   JournalConfig `yaml:"journal"`
	// Unattributed says what counts as use that no tap explains.
	Unattributed UnattributedConfig `yaml:"unattributed"`
	Log          LogConfig          `yaml:"log"`
}

// Web is where browsers on the station find the panel's page and the local API.
type Web struct {
	// Listen is an address of the loopback; empty is none.
	Listen string `yaml:"listen"`
	// Hosts are names under which a browser may call it, beside localhost and the loopback's numbers.
	Hosts []string `yaml:"hosts"`
	// Language is the BCP 47 tag of the language in which the page speaks to nobody in particular. To a person it speaks theirs.
	Language string `yaml:"language"`
	// Sounds are the page's. What they say is seen too.
	Sounds bool `yaml:"sounds"`
}

// Readers says which readers are used.
type Readers struct {
	PCSC   PCSC     `yaml:"pcsc"`
	Serial []Serial `yaml:"serial"`
}

// PCSC is the smart card service of the operating system.
type PCSC struct {
	Enabled bool `yaml:"enabled"`
	// Match names the readers to use and Ignore those to leave alone, with * and ?. An empty Match is all.
	Match  []string `yaml:"match"`
	Ignore []string `yaml:"ignore"`
}

// Serial is one reader on a serial line, as package reader/serial describes it. Only Device has to be given.
type Serial struct {
	Device    string        `yaml:"device"`
	Name      string        `yaml:"name"`
	Baud      int           `yaml:"baud"`
	DataBits  int           `yaml:"data_bits"`
	Parity    string        `yaml:"parity"`
	StopBits  int           `yaml:"stop_bits"`
	Format    string        `yaml:"format"`
	Pattern   string        `yaml:"pattern"`
	MaxLength int           `yaml:"max_length"`
	IdleFrame time.Duration `yaml:"idle_frame"`
}

// SessionConfig is session.Rules as a configuration spells it.
type SessionConfig struct {
	Bounce       time.Duration `yaml:"bounce"`
	Ask          time.Duration `yaml:"ask"`
	TapOut       string        `yaml:"tap_out"`
	Idle         time.Duration `yaml:"idle"`
	IdleWarning  time.Duration `yaml:"idle_warning"`
	Longest      time.Duration `yaml:"longest"`
	LeaveTheCard bool          `yaml:"leave_the_card"`
	CardGrace    time.Duration `yaml:"card_grace"`
	ReaderGrace  time.Duration `yaml:"reader_grace"`
	EndWarning   time.Duration `yaml:"end_warning"`
	PINWithin    time.Duration `yaml:"pin_within"`
	SecondWithin time.Duration `yaml:"second_within"`
}

// SignConfig is about signatures of operators.
type SignConfig struct {
	// BadgeWithin is how long ago the badge may have been seen at the first signature of a session; 0 is any time in it.
	BadgeWithin time.Duration `yaml:"badge_within"`
}

// EmergencyConfig is the part of session.Rules about emergencies.
type EmergencyConfig struct {
	Longest     time.Duration `yaml:"longest"`
	ClaimWithin time.Duration `yaml:"claim_within"`
	ClaimTap    time.Duration `yaml:"claim_tap"`
}

// LogConfig says how much is logged, on standard error.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // console or json
}

// Spec describes the agent as a service.
func Spec() osservice.Spec {
	return osservice.Spec{
		Name: "tapline-agent", DisplayName: "Tapline agent", Description: "Names the person at this station",
		Dependencies: dependencies(), ManualReady: true,
	}
}

// DefaultConfig is the configuration of a station that has none.
func DefaultConfig() (Config, error) {
	dir, err := osservice.Folder(Spec())
	if err != nil {
		return Config{}, err
	}
	r := session.DefaultRules()
	return Config{
		StateDir: dir, Socket: defaultSocket(dir), KeyStore: "auto", Mode: string(record.ModeAttribute), Panel: "terminal",
		Gate:    defaultGate(),
		Web:     Web{Listen: "127.0.0.1:8750", Language: "en", Sounds: true},
		Readers: Readers{PCSC: PCSC{Enabled: true}},
		Session: SessionConfig{
			Bounce: r.Bounce, Ask: r.Ask, TapOut: string(r.TapOut), Idle: r.Idle, IdleWarning: r.IdleWarning, Longest: r.Longest,
			LeaveTheCard: r.LeaveTheCard, CardGrace: r.CardGrace, ReaderGrace: r.ReaderGrace,
			EndWarning: r.EndWarning, PINWithin: r.PINWithin, SecondWithin: r.SecondWithin,
		},
		Sign:         SignConfig{BadgeWithin: 10 * time.Minute},
		Emergency:    EmergencyConfig{Longest: r.EmergencyLongest, ClaimWithin: r.ClaimWithin, ClaimTap: r.ClaimTap},
		DecideWithin: 400 * time.Millisecond, Heartbeat: 5 * time.Minute,
		Unattributed: UnattributedConfig{Logons: true, InputQuiet: r.InputQuiet, Longest: r.UseLongest},
		Journal:      JournalConfig{WarnDays: 14, WarnFree: 200},
		Log:          LogConfig{Level: "info", Format: "console"},
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
	if errors.Is(err, fs.ErrNotExist) && !named {
		return cfg, nil
	}
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	if err := cfg.read(b); err != nil {
		return Config{}, fmt.Errorf("configuration %s: %w", path, err)
	}
	return cfg, nil
}

// read takes over what b says. A key without a value, such as one whose values are all comments, says nothing.
func (c *Config) read(b []byte) error {
	var scratch Config // finds faults, and their place in b
	err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&scratch)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	var tree map[string]any
	if err := yaml.Unmarshal(b, &tree); err != nil {
		return err
	}
	prune(tree)
	if len(tree) == 0 {
		return nil
	}
	said, err := yaml.Marshal(tree)
	if err != nil {
		return err
	}
	return yaml.UnmarshalWithOptions(said, c, yaml.Strict())
}

// prune removes keys without a value.
func prune(tree map[string]any) {
	for key, v := range tree {
		inner, ok := v.(map[string]any)
		if ok {
			prune(inner)
		}
		if v == nil || ok && len(inner) == 0 {
			delete(tree, key)
		}
	}
}

// Rules are the session's rules.
func (c Config) Rules() session.Rules {
	r, s := session.DefaultRules(), c.Session
	r.Bounce, r.Ask, r.TapOut, r.Idle, r.IdleWarning = s.Bounce, s.Ask, session.TapOut(s.TapOut), s.Idle, s.IdleWarning
	r.Longest, r.LeaveTheCard, r.CardGrace, r.ReaderGrace = s.Longest, s.LeaveTheCard, s.CardGrace, s.ReaderGrace
	r.EmergencyLongest, r.ClaimWithin, r.ClaimTap = c.Emergency.Longest, c.Emergency.ClaimWithin, c.Emergency.ClaimTap
	r.EndWarning, r.PINWithin, r.SecondWithin = s.EndWarning, s.PINWithin, s.SecondWithin
	r.InputQuiet, r.UseLongest = c.Unattributed.InputQuiet, c.Unattributed.Longest
	return r
}

// Fault is all that is wrong with the configuration as one error with an exit code and a hint; nil when nothing is.
func (c Config) Fault() error {
	return osservice.Fault(osservice.Config, errors.Join(c.Check()...), "correct these keys; \"tapagent check\" shows whether all is well")
}

// Check gives everything that is wrong with the configuration, at once.
func (c Config) Check() []error {
	var faults []error
	wrong := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !filepath.IsAbs(c.StateDir) {
		wrong("state_dir %q: want an absolute path", c.StateDir)
	}
	if !filepath.IsAbs(c.Socket) {
		wrong("socket %q: want an absolute path", c.Socket)
	}
	if _, err := keystore.ParseKind(c.KeyStore); err != nil {
		faults = append(faults, err)
	}
	if c.Station != "" && !record.StationID(c.Station).Valid() {
		wrong("station %q: want site/area/line/station", c.Station)
	}
	if m := record.Mode(c.Mode); m == "" || !m.Valid() {
		wrong("mode %q: want attribute, gate, lock or signin", c.Mode)
	}
	if c.Panel != "terminal" && c.Panel != "web" && c.Panel != "none" {
		wrong("panel %q: want terminal, web or none", c.Panel)
	}
	faults = append(faults, c.Gate.check()...)
	faults = append(faults, checkUser("lock.user", c.Lock.User)...)
	for i, name := range c.SignIn.Accounts {
		faults = append(faults, checkUser(fmt.Sprintf("signin.accounts[%d]", i), name)...)
	}
	faults = append(faults, c.Web.check()...)
	if t := session.TapOut(c.Session.TapOut); t != session.Confirm && t != session.Never {
		wrong("session.tap_out %q: want confirm or never", c.Session.TapOut)
	}
	for _, d := range c.durations() {
		if d.is < d.least {
			wrong("%s %s: want at least %s", d.name, d.is, d.least)
		}
	}
	if len(c.AccountHook) > 0 && !filepath.IsAbs(c.AccountHook[0]) {
		wrong("account_hook %q: want the absolute path of a program", c.AccountHook[0])
	}
	if c.Journal.WarnDays < 0 || c.Journal.WarnFree < 0 {
		wrong("journal.warn_days %d, journal.warn_free_mb %d: want 0 (never) or more", c.Journal.WarnDays, c.Journal.WarnFree)
	}
	faults = append(faults, c.Tokens.check()...)
	for i, s := range c.Readers.Serial {
		if _, err := s.source(nil); err != nil {
			wrong("readers.serial[%d]: %w", i, err)
		}
	}
	if _, err := zapcore.ParseLevel(c.Log.Level); err != nil {
		wrong("log.level %q: want debug, info, warn or error", c.Log.Level)
	}
	if c.Log.Format != "console" && c.Log.Format != "json" {
		wrong("log.format %q: want console or json", c.Log.Format)
	}
	return faults
}

// shortestWait is how long a person needs to type a PIN, or to walk up to a reader.
const shortestWait = 5 * time.Second

type limit struct {
	name      string
	is, least time.Duration
}

func (c Config) durations() []limit {
	s := c.Session
	return []limit{
		{"decide_within", c.DecideWithin, 10 * time.Millisecond},
		{"heartbeat", c.Heartbeat, time.Second},
		{"unattributed.input_quiet", c.Unattributed.InputQuiet, 0},
		{"unattributed.longest", c.Unattributed.Longest, 0},
		{"session.bounce", s.Bounce, 0},
		{"session.ask", s.Ask, 0},
		{"session.idle", s.Idle, 0},
		{"session.idle_warning", s.IdleWarning, 0},
		{"session.longest", s.Longest, 0},
		{"session.card_grace", s.CardGrace, 0},
		{"session.reader_grace", s.ReaderGrace, 0},
		{"sign.badge_within", c.Sign.BadgeWithin, 0},
		{"emergency.longest", c.Emergency.Longest, 0},
		{"emergency.claim_within", c.Emergency.ClaimWithin, time.Minute},
		{"emergency.claim_tap", c.Emergency.ClaimTap, 5 * time.Second},
		{"session.end_warning", s.EndWarning, 0},
		{"session.pin_within", s.PINWithin, shortestWait},
		{"session.second_within", s.SecondWithin, shortestWait},
	}
}
