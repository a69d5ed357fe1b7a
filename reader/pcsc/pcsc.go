// Package pcsc is the badge source for PC/SC readers: everything that the operating system's smart card service knows, contactless and
// contact, on Linux (pcscd), Windows (SCardSvr) and macOS.
//
// One goroutine owns one PC/SC context and is the only one that waits in it: the binding below keeps one buffer a reader name, and two
// waiters on one name would read freed memory. So run one Source per process. The goroutine blocks in the service's own status wait with a
// finite limit, lists the readers again after each, and feeds the service's event counters back, so that a card that comes and goes
// between two waits is still noticed. When the service dies it drops the context and takes up again with a growing pause for ever.
//
// The agent runs it like any reader.Source. It is the only importer of the PC/SC binding. It never writes to a card, never holds a
// card longer than one command, and never logs a number or an ATR. A build without cgo (except for Windows) has no
// PC/SC: there New returns ErrNotBuilt and the rest of the agent works on.
package pcsc

import (
	"errors"
	"time"

	"go.uber.org/zap"
)

// ErrNotBuilt is what New returns in a build that has no PC/SC support.
var ErrNotBuilt = errors.New("this build has no PC/SC support: it was built without cgo")

// Config is how to watch PC/SC readers; the zero Config watches all of them.
type Config struct {
	// Include names the readers to use and Exclude those to leave alone, as patterns in which * stands for any text and ? for any one
	// character; upper and lower case are the same. An empty Include means all. Exclude wins.
	Include []string
	Exclude []string
	// Wait is the longest single wait in the PC/SC service; 0 means 10 s (1 s on Windows). It bounds how late a new reader is seen on
	// services that do not announce it.
	Wait time.Duration
	// Settle is how long a new or returned reader is watched before it counts as attached; a card seen meanwhile was lying there and is no tap.
	// 0 means 500 ms: contactless readers need that long to find a card after they are powered.
	Settle time.Duration
	// BusyFor is how long to try again while another program holds the card; 0 means 300 ms.
	BusyFor time.Duration
	// Log gets what an administrator wants to know of the service's state; nil is silent.
	Log *zap.Logger
}

const (
	defaultSettle  = 500 * time.Millisecond
	defaultBusyFor = 300 * time.Millisecond
)

func (c Config) withDefaults() Config {
	if c.Wait == 0 {
		c.Wait = defaultWait
	}
	if c.Settle == 0 {
		c.Settle = defaultSettle
	}
	if c.BusyFor == 0 {
		c.BusyFor = defaultBusyFor
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return c
}
