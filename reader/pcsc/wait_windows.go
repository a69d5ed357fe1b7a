package pcsc

import "time"

// defaultWait is short here: the binding does not pin the names it hands to Windows, and re-listing is the only way to see some changes.
const defaultWait = time.Second
