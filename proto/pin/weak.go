package pin

import (
	"strings"
)

// Weak says why a PIN is among those that are tried first; empty if it is not. It is asked when a PIN is set, never when one is entered.
//
// The list is short on purpose (NIST SP 800-63B, 5.1.1.2: compare with what is commonly used): throttling makes up for the rest.
func Weak(pin, person string) string {
	switch {
	case strings.Count(pin, pin[:1]) == len(pin):
		return "all its digits are the same"
	case steps(pin, 1) || steps(pin, -1):
		return "its digits count up or down"
	case len(pin)%2 == 0 && strings.Repeat(pin[:2], len(pin)/2) == pin:
		return "it repeats two digits"
	case len(pin) == 4 && (pin[:2] == "19" || pin[:2] == "20"):
		return "it looks like a year"
	case digits(person) == pin:
		return "it is the person's own number"
	}
	return ""
}

// steps reports whether each digit is the one before it and by more, 9 being followed by 0.
func steps(pin string, by int) bool {
	for i := 1; i < len(pin); i++ {
		if (int(pin[i])-int(pin[i-1])-by)%10 != 0 {
			return false
		}
	}
	return true
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}
