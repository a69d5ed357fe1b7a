package secret

import (
	"crypto/rand"
	"strings"

	"tapline/broker/vault"
)

// What a new secret is made of: no character that is mistaken for another when a person must type it, or that a shell or a URL takes for its own.
const (
	lower   = "abcdefghijkmnpqrstuvwxyz"
	upper   = "ABCDEFGHJKLMNPQRSTUVWXYZ"
	digits  = "23456789"
	signs   = "-_+=.,:"
	letters = lower + upper + digits + signs
)

// usualLength is 24 characters of 62: more than 140 bits.
const usualLength = 24

// generate makes a secret of n characters, with one of each class at least: systems ask for that.
func generate(n int) vault.Secret {
	if n == 0 {
		n = usualLength
	}
	s := make(vault.Secret, n)
	for {
		for i := range s {
			s[i] = letters[pick(len(letters))]
		}
		if hasEach(s) {
			return s
		}
	}
}

// pick is a number below n <= 256, each as likely.
func pick(n int) int {
	var b [1]byte
	for {
		_, _ = rand.Read(b[:])
		if int(b[0]) < 256-256%n {
			return int(b[0]) % n
		}
	}
}

func hasEach(s vault.Secret) bool {
	for _, class := range []string{lower, upper, digits, signs} {
		found := false
		for _, c := range s {
			found = found || strings.IndexByte(class, c) >= 0
		}
		if !found {
			return false
		}
	}
	return true
}
