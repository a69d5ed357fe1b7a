package renewal

import (
	"os"
	"testing"
)

func TestNobodyHonestIsLockedOutAndEveryCloneIsFound(t *testing.T) {
	o := Options{Renewals: 500, Stations: 12, RequestLoss: 0.1, ReplyLoss: 0.1}
	seeds := []uint64{1}
	switch os.Getenv("TAPLINE_SUITE") {
	case "full":
		o.Renewals, o.Stations, seeds = 2000, 20, []uint64{2}
	case "long":
		o.Renewals, o.Stations, seeds = 10_000, 50, []uint64{4, 5, 6, 7, 8}
	}
	for _, o.Seed = range seeds {
		r, err := Run(t.Context(), o)
		if err != nil {
			t.Fatalf("seed %d: %v\n%+v", o.Seed, err, r)
		}
		if err := r.Law(); err != nil {
			t.Errorf("seed %d: %v", o.Seed, err)
		}
		if r.Clones == 0 || r.Recovered == 0 || r.Issuers+r.Roots == 0 || r.WrongClocks == 0 || r.BrokerSteps == 0 || r.Restarts == 0 {
			t.Errorf("seed %d: too little happened: %+v", o.Seed, r)
		}
		t.Logf("seed %d: %+v", o.Seed, r)
	}
}

// What happened is decided by the seed, so that a broken law can be looked at again.
func TestTheSameSeedIsTheSameStory(t *testing.T) {
	o := Options{Renewals: 60, Stations: 6, Fleets: 1, RequestLoss: 0.2, ReplyLoss: 0.2, Seed: 9}
	var told [2]Result
	for i := range told {
		r, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		r.Elapsed = 0
		told[i] = r
	}
	if told[0] != told[1] {
		t.Errorf("first %+v, then %+v", told[0], told[1])
	}
}
