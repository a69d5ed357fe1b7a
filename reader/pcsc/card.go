package pcsc

import (
	"tapline/reader"
	"tapline/reader/apdu"
)

// outcome is what reading a card came to: a badge, or the reason why there is none.
type outcome struct {
	badge  reader.Badge
	reason reader.Reason
	again  bool // the fault may pass: worth another try while the card is there
}

// limits of what is taken for a badge number, in bytes: the UIDs of ISO 14443 and ISO 15693, FeliCa's IDm.
const (
	shortestUID = 4
	longestUID  = 10
)

// exchange sends a command APDU to the card and returns its response APDU.
type exchange func(command []byte) ([]byte, error)

// readUID asks the card for its number. An error is the exchange's: the card or the service went away.
func readUID(send exchange, atr []byte) (outcome, error) {
	cmd := apdu.GetUID()
	res, err := ask(send, cmd)
	if err != nil {
		return outcome{}, err
	}
	if n, ok := res.Status.RetryLe(); ok {
		cmd.Le = n
		if res, err = ask(send, cmd); err != nil {
			return outcome{}, err
		}
	}
	return judge(res, atr), nil
}

func ask(send exchange, cmd apdu.Command) (apdu.Response, error) {
	b, err := cmd.Bytes()
	if err != nil {
		return apdu.Response{}, err
	}
	answer, err := send(b)
	if err != nil {
		return apdu.Response{}, err
	}
	res, err := apdu.ParseResponse(answer)
	if err != nil {
		return apdu.Response{Status: apdu.NoDiagnosis}, nil // a reader that answers with less than a status is a faulty one
	}
	return res, nil
}

// judge tells a badge from a card that has no number to give.
func judge(res apdu.Response, atr []byte) outcome {
	tech := technology(atr)
	switch {
	case res.Status == apdu.OK && random(res.Data, tech):
		return outcome{reason: reader.RandomNumber}
	case res.Status == apdu.OK && len(res.Data) >= shortestUID && len(res.Data) <= longestUID && !blank(res.Data):
		return outcome{badge: reader.Badge{
			Number:     reader.NewNumber("uid", res.Data, 0),
			Technology: tech,
			Assurance:  reader.ChipUID,
			ATR:        atr,
		}}
	case tech != reader.Contact && passing(res.Status):
		return outcome{reason: reader.ReaderFault, again: true}
	}
	return outcome{reason: reader.NoNumber}
}

// blank reports whether a number is all zero, as readers give for a card that left during anti-collision.
func blank(uid []byte) bool {
	for _, b := range uid {
		if b != 0 {
			return false
		}
	}
	return true
}

// passing reports whether a contactless reader's status word may be a fault of the moment: a warning or an execution error, as they give
// for a card at the edge of the field. The other refusals (unknown command, unknown class, not supported) are lasting.
func passing(s apdu.Status) bool {
	switch s & 0xFF00 {
	case 0x6300, 0x6400, 0x6500:
		return true
	}
	return s == apdu.NoDiagnosis
}
