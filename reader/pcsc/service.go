//go:build cgo || windows

package pcsc

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/ebfe/scard"

	"tapline/reader"
)

// pnp is the name of the pseudo reader whose state changes when readers come or go.
const pnp = `\\?PnP?\Notification`

// service is one PC/SC context. Every call into the binding goes through it, and a panic in there comes back as an error: the binding
// panics on odd protocols and empty lists, and a reader must not take the agent down.
type service struct{ scope *scard.Context }

var (
	errBinding  = errors.New("PC/SC binding panicked")
	errProtocol = errors.New("card speaks neither T=0 nor T=1")
)

func guard(call func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errBinding, r)
		}
	}()
	return call()
}

func establish() (s service, err error) {
	err = guard(func() error {
		s.scope, err = scard.EstablishContext()
		return err
	})
	return s, err
}

func (s service) release() { _ = guard(s.scope.Release) }

func (s service) cancel() { _ = guard(s.scope.Cancel) }

// readers lists the readers; none is no error.
func (s service) readers() (names []string, err error) {
	// The binding asks for the size and then for the list, and a reader may come in between.
	for range mostContradictions {
		err = guard(func() error {
			names, err = s.scope.ListReaders()
			return err
		})
		if !errors.Is(err, scard.ErrInsufficientBuffer) {
			break
		}
	}
	if errors.Is(err, scard.ErrNoReadersAvailable) {
		return nil, nil
	}
	return names, err
}

// report is the state of one reader after a wait.
type report struct {
	name  reader.Name
	state uint32
	atr   []byte
}

// wait blocks until a reader is in another state than the one fed back in asked, readers come or go (count is how many there are), or limit
// is over. No report means that nothing changed.
func (s service) wait(asked []report, count int, limit time.Duration) ([]report, error) {
	states := make([]scard.ReaderState, 0, len(asked)+1)
	for _, a := range asked {
		states = append(states, scard.ReaderState{Reader: string(a.name), CurrentState: scard.StateFlag(a.state)})
	}
	if runtime.GOOS != "darwin" { // has no pseudo reader
		states = append(states, scard.ReaderState{Reader: pnp, CurrentState: scard.StateFlag(count << 16)})
	}
	if len(states) == 0 {
		time.Sleep(min(limit, time.Second))
		return nil, nil
	}
	err := guard(func() error { return s.scope.GetStatusChange(states, limit+time.Millisecond) })
	if errors.Is(err, scard.ErrTimeout) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var changed []report
	for i, a := range asked {
		if states[i].EventState&scard.StateChanged != 0 {
			changed = append(changed, report{a.name, uint32(states[i].EventState), states[i].Atr})
		}
	}
	return changed, nil
}

// uid connects to the card in the reader, asks for its number and lets go of it again, leaving it as it is.
func (s service) uid(name reader.Name, atr []byte) (out outcome, err error) {
	err = guard(func() error {
		card, err := s.scope.Connect(string(name), scard.ShareShared, scard.ProtocolAny)
		if err != nil {
			return err
		}
		defer func() { _ = card.Disconnect(scard.LeaveCard) }()
		if p := card.ActiveProtocol(); p != scard.ProtocolT0 && p != scard.ProtocolT1 {
			return errProtocol
		}
		out, err = readUID(card.Transmit, atr)
		return err
	})
	return out, err
}
