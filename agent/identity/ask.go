package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"tapline/proto/wire"
)

// askWithin bounds one call to one broker.
const askWithin = 15 * time.Second

// ask makes one call, at the first broker that answers: whatever a broker says is final, a broker that is away is not. Each broker gets a
// configuration of its own.
func (o Options) ask(ctx context.Context, brokers []string, secure func() *tls.Config, call func(context.Context, Registrar) error) error {
	if len(brokers) == 0 {
		return errors.New("no broker to ask")
	}
	var all []error
	for _, address := range brokers {
		err := o.askOne(ctx, address, secure(), call)
		if err == nil {
			return nil
		}
		all = append(all, fmt.Errorf("broker %s: %w", address, err))
		if k := wire.KindOf(err); (k != wire.Unavailable && k != wire.Deadline) || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(all...)
}

func (o Options) askOne(ctx context.Context, address string, c *tls.Config, call func(context.Context, Registrar) error) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var doubt doubt
	r, hangUp, err := o.Connect(address, doubt.watch(c))
	if err != nil {
		return err
	}
	err = call(ctx, r)
	if closeErr := hangUp(); err == nil && closeErr != nil {
		o.Log.Debug("the connection did not close cleanly")
	}
	if err != nil {
		return errors.Join(err, doubt.get())
	}
	return nil
}

// doubt keeps why the server was not believed, which gRPC gives on as text only.
type doubt struct {
	mu  sync.Mutex
	err error
}

func (d *doubt) watch(c *tls.Config) *tls.Config {
	c = c.Clone()
	check := c.VerifyConnection
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		err := check(cs)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.err = err
		return err
	}
	return c
}

func (d *doubt) get() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}
