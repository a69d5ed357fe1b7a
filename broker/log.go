package broker

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"tapline/broker/tlog"
	"tapline/broker/vault"
	"tapline/installer/osservice"
	"tapline/proto/checkpoint"
)

// headsKept is how long every head of the log is kept; of older ones the last of each hour stays.
const headsKept = 24 * time.Hour

// checkLog stops the start, before anything is written, on a store that is behind the checkpoint in the data folder or has another history: what it
// would sign contradicts what was signed.
func (b *Broker) checkLog(ctx context.Context) error {
	err := tlog.Check(ctx, b.store, b.cfg.Data)
	if err == nil {
		return nil
	}
	hint := "put back a copy of the store that is not older; if there is none, tapbroker log restart --help says what can be done"
	if !errors.Is(err, tlog.ErrBehind) && !errors.Is(err, tlog.ErrFork) {
		hint = "tapbroker log verify says what is damaged, tapbroker log rebuild makes it anew from the records"
	}
	return osservice.Fault(osservice.Config, err, hint)
}

// openLog opens the Merkle log.
func (b *Broker) openLog(ctx context.Context, v *vault.Vault) error {
	key, err := tlog.LoadKey(ctx, b.store, v, b.cfg.Site, b.now())
	if err != nil {
		return err
	}
	holder := "the only broker"
	if b.store.Shared() {
		run, err := uuid.NewRandom()
		if err != nil {
			return fmt.Errorf("name this run: %w", err)
		}
		holder = run.String()
	}
	witnesses, err := b.cfg.witnesses()
	if err != nil {
		return err
	}
	if b.tree, err = tlog.New(tlog.Config{
		Store: b.store, Key: key, Data: b.cfg.Data, Holder: holder, Witnesses: witnesses, Now: b.now, Log: b.log,
	}); err != nil {
		return osservice.Fault(osservice.Config, err, "if the log was begun anew on another machine (tapbroker log restart), move DATA/checkpoint away here")
	}
	return nil
}

// WitnessConfig names a witness that is asked to cosign the log.
type WitnessConfig struct {
	Key string `yaml:"key"` // verifier key
	URL string `yaml:"url"` // where it is asked; the call's path is appended
}

// witnesses are those of the configuration.
func (c Config) witnesses() ([]tlog.Witness, error) {
	var all []tlog.Witness
	var faults []error
	names := map[string]bool{}
	for i, w := range c.Witnesses {
		k, err := checkpoint.ParseKey(w.Key)
		if err == nil && k.IsLog() {
			err = errors.New("it is the key of a log")
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("witnesses: key of entry %d: %w; the witness prints it when it starts", i+1, err))
		}
		if names[k.Name()] && k.Name() != "" {
			faults = append(faults, fmt.Errorf("witnesses: %s is there twice", k.Name()))
		}
		names[k.Name()] = true
		u, err := url.Parse(w.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			faults = append(faults, fmt.Errorf("witnesses: url %q of entry %d: want http:// or https://", w.URL, i+1))
		}
		all = append(all, tlog.Witness{Key: k, URL: w.URL})
	}
	return all, errors.Join(faults...)
}

// thinHeads forgets heads of the log that nobody will ask for.
func (b *Broker) thinHeads(ctx context.Context) error {
	return tlog.Thin(ctx, b.store, b.now().Add(-headsKept))
}

// logMetrics are the metrics of the log.
func (b *Broker) logMetrics() []prometheus.Collector {
	gauge := func(name, help string, value func(tlog.State) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(b.tree.State()) })
	}
	all := []prometheus.Collector{
		gauge("tapline_log_size", "Records in the newest checkpoint of the log.", func(s tlog.State) float64 { return float64(s.Size) }),
		gauge("tapline_log_lag_records", "Stored records that are in no checkpoint yet.", func(s tlog.State) float64 { return float64(s.Lag) }),
		gauge("tapline_log_checkpoint_age_seconds", "Time since the newest checkpoint; it ages while nothing is recorded.", func(s tlog.State) float64 {
			if s.Published.IsZero() {
				return 0
			}
			return b.now().Sub(s.Published).Seconds()
		}),
		gauge("tapline_log_epoch", "Epoch of the broker that wrote the newest checkpoint.", func(s tlog.State) float64 { return float64(s.Epoch) }),
		gauge("tapline_log_leader", "1 at the broker that extends the log.", func(s tlog.State) float64 {
			if s.Leads {
				return 1
			}
			return 0
		}),
		gauge("tapline_log_forked", "1 when the log is not the one that was published: nothing is signed any more.", func(s tlog.State) float64 {
			if s.Fault != nil {
				return 1
			}
			return 0
		}),
	}
	for i, w := range b.tree.WitnessStates() {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tapline_log_cosigned_size", Help: "Records in the newest checkpoint that a witness cosigned for this broker.", ConstLabels: prometheus.Labels{"witness": w.Name},
		}, func() float64 { return float64(b.tree.WitnessStates()[i].Size) }))
	}
	return all
}
