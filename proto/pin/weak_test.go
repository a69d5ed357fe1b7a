package pin

import "testing"

func TestPINsThatAreTriedFirst(t *testing.T) {
	for _, row := range []struct {
		pin, person, why string
	}{
		{"0000", "p-1", "all its digits are the same"},
		{"77777777", "p-1", "all its digits are the same"},
		{"1234", "p-1", "its digits count up or down"},
		{"7890123", "p-1", "its digits count up or down"},
		{"9876", "p-1", "its digits count up or down"},
		{"1212", "p-1", "it repeats two digits"},
		{"484848", "p-1", "it repeats two digits"},
		{"1987", "p-1", "it looks like a year"},
		{"2031", "p-1", "it looks like a year"},
		{"4711", "p-4711", "it is the person's own number"},
		{"4711", "p-1", ""},
		{"2468", "p-1", ""},
		{"190771", "p-1", ""},
		{"12121", "p-1", ""},
	} {
		if got := Weak(row.pin, row.person); got != row.why {
			t.Errorf("%s of %s: %q, want %q", row.pin, row.person, got, row.why)
		}
	}
}

// FuzzWeak: whatever is a PIN can be judged.
func FuzzWeak(f *testing.F) {
	f.Add("1234", "p-1")
	f.Fuzz(func(t *testing.T, pin, person string) {
		if Valid(pin) && len(pin) == 12 && Weak(pin, "") == "" && Weak(pin, pin) == "" {
			t.Errorf("%s is %s's own number", pin, person)
		}
	})
}
