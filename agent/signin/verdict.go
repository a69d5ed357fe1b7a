package signin

import (
	"context"
	"os/user"
	"strconv"
)

// Verdict is the answer to a sign-in.
type Verdict string

// The verdicts. What the module makes of them is in installer/linux/pam/pam_tapline.c.
const (
	Allowed     Verdict = "allowed"     // somebody is there, or an emergency is open
	Refused     Verdict = "refused"     // nobody is
	Ignore      Verdict = "ignore"      // not an account that this station guards
	Unavailable Verdict = "unavailable" // the station guards no sign-ins now, or cannot tell: as if the agent were away
)

// Decide answers for one account. It does not wait longer than ctx.
type Decide func(ctx context.Context, account string) Verdict

// MayAsk reports whether an account may ask about another: root about all, every other about itself alone.
func MayAsk(uid int, account string) bool {
	if uid == 0 {
		return true
	}
	who, err := user.Lookup(account)
	return err == nil && who.Uid == strconv.Itoa(uid)
}
