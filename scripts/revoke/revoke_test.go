package revoke

import (
	"os"
	"testing"
)

func TestWhatIsRevokedIsDeadAtOnceHereAndElsewhere(t *testing.T) {
	o := Options{Tries: 4}
	if os.Getenv("TAPLINE_SUITE") == "full" || os.Getenv("TAPLINE_SUITE") == "long" {
		o.Tries, o.AtOnce = 8, 8
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Law(); err != nil {
		t.Error(err)
	}
	for _, c := range r.Cases {
		if c.N != o.Tries {
			t.Errorf("%s: %d tries, want %d", c.Name, c.N, o.Tries)
		}
		t.Logf("%s: p50 %s, p99 %s, most %s", c.Name, c.P50, c.P99, c.Max)
	}
}
