package reader

// Reason is why a badge could not be read or a reader went away: a short stable word for records and logs, never free text.
type Reason string

// The reasons that sources give.
const (
	NoNumber     Reason = "no-number"     // the card answers, but has no number to give (a contact card, a phone)
	RandomNumber Reason = "random-number" // the card makes up another number at every tap (ISO 14443-3 random ID: a phone, a privacy card)
	Mute         Reason = "mute"          // the card gave no Answer To Reset
	TooQuick     Reason = "too-quick"     // the card left before it was read
	Busy         Reason = "busy"          // another program holds the card
	BadData      Reason = "bad-data"      // what came over the line is not a badge: parity, length or characters
	ReaderGone   Reason = "reader-gone"   // unplugged
	ServiceGone  Reason = "service-gone"  // the PC/SC service is not running
	ReaderFault  Reason = "reader-fault"  // the reader reports an error
	NotPermitted Reason = "not-permitted" // the operating system refuses access to the reader
)
