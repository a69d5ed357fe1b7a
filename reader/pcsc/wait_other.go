//go:build !windows

package pcsc

import "time"

// defaultWait keeps an idle station idle: one wake-up in ten seconds.
const defaultWait = 10 * time.Second
