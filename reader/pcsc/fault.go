//go:build cgo || windows

package pcsc

import (
	"errors"

	"github.com/ebfe/scard"

	"tapline/reader"
)

// cardFault says what an error of reading a card means for the person who tapped. ok is false for errors that are no fault of the card or the
// moment: the service or the context is gone.
func cardFault(err error) (out outcome, ok bool) {
	if errors.Is(err, errProtocol) {
		return outcome{reason: reader.NoNumber}, true
	}
	var code scard.Error
	if !errors.As(err, &code) {
		return outcome{}, false
	}
	switch code {
	case scard.ErrSharingViolation, scard.ErrServerTooBusy:
		return outcome{reason: reader.Busy, again: true}, true
	case scard.ErrNoSmartcard, scard.ErrRemovedCard:
		return outcome{reason: reader.TooQuick}, true
	case scard.ErrNotTransacted, scard.ErrResetCard, scard.ErrCommDataLost:
		// Mostly a card on its way out, before the service has noticed.
		return outcome{reason: reader.TooQuick, again: true}, true
	case scard.ErrUnresponsiveCard, scard.ErrUnpoweredCard, scard.ErrInvalidAtr:
		return outcome{reason: reader.Mute, again: true}, true
	case scard.ErrProtoMismatch, scard.ErrUnsupportedCard, scard.ErrCardUnsupported, scard.ErrUnknownCard:
		return outcome{reason: reader.NoNumber}, true
	case scard.ErrSecurityViolation: // ErrNoAccess is what a request gets whose service has just died
		return outcome{reason: reader.NotPermitted}, true
	case scard.ErrReaderUnavailable, scard.ErrUnknownReader, scard.ErrNotReady:
		return outcome{reason: reader.ReaderFault}, true
	}
	return outcome{}, false
}
