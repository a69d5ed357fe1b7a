package apdu

import "fmt"

// Status is the status word SW1-SW2 that ends every response.
type Status uint16

// The status words that this tree acts on (ISO/IEC 7816-4, table 6).
const (
	OK                Status = 0x9000
	WrongLength       Status = 0x6700
	NotAllowed        Status = 0x6986
	NotSupported      Status = 0x6A81
	NotFound          Status = 0x6A82
	WrongParameters   Status = 0x6A86
	WrongReference    Status = 0x6B00
	UnknownCommand    Status = 0x6D00
	UnknownClass      Status = 0x6E00
	NoDiagnosis       Status = 0x6F00
	bytesWaiting      Status = 0x6100
	warning           Status = 0x6300
	retryWithThisLe   Status = 0x6C00
	securityCondition Status = 0x6982
)

// RetryLe reports the Le that the card asks the command to be sent again with (6Cxx), and whether it asks for that.
func (s Status) RetryLe() (int, bool) {
	return le(byte(s)), s&0xFF00 == retryWithThisLe
}

// String is the status word in hex with its name, such as "6d00 unknown command". It holds no data of the card.
func (s Status) String() string {
	return fmt.Sprintf("%04x %s", uint16(s), s.name())
}

func (s Status) name() string {
	switch s {
	case OK:
		return "ok"
	case WrongLength:
		return "wrong length"
	case securityCondition:
		return "security condition not satisfied"
	case NotAllowed:
		return "command not allowed"
	case NotSupported:
		return "function not supported"
	case NotFound:
		return "file or application not found"
	case WrongParameters, WrongReference:
		return "wrong parameters"
	case UnknownCommand:
		return "unknown command"
	case UnknownClass:
		return "unknown class"
	case NoDiagnosis:
		return "no precise diagnosis"
	}
	return s.family()
}

func (s Status) family() string {
	switch s & 0xFF00 {
	case bytesWaiting:
		return "more bytes waiting"
	case 0x6200, warning:
		return "warning"
	case 0x6400, 0x6500:
		return "execution error"
	case retryWithThisLe:
		return "wrong expected length"
	case 0x6900, 0x6A00:
		return "refused"
	}
	return "unnamed status"
}
