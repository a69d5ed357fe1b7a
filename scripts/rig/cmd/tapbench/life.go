//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"

	"tapline/scripts/renewal"
	"tapline/scripts/revoke"
)

// renewals is what became of a fleet that lived with its certificates.
type renewals struct {
	Bench         string  `json:"bench"`
	Case          string  `json:"case"`
	Renewals      int     `json:"renewals"`
	RequestsLost  int     `json:"requests_lost"`
	RepliesLost   int     `json:"replies_lost"`
	FalseLockouts int     `json:"false_lockouts"`
	Clones        int     `json:"clones"`
	ClonesCaught  int     `json:"clones_caught"`
	Sleeps        int     `json:"sleeps"`    // absences that outlasted the certificate
	Recovered     int     `json:"recovered"` // of them without anybody's doing
	AsleepDays    float64 `json:"asleep_days"`
	Approvals     int     `json:"approvals"`
	WrongClocks   int     `json:"wrong_clocks"`
	Restarts      int     `json:"broker_restarts"`
	Days          float64 `json:"virtual_days"`
	Seconds       float64 `json:"seconds"`
}

// renewal simulates a fleet over years, on a line that loses every tenth request and every tenth reply.
func (b *bench) renewal(ctx context.Context) error {
	const loss = 0.1
	r, err := renewal.Run(ctx, renewal.Options{Renewals: b.n, RequestLoss: loss, ReplyLoss: loss, Seed: b.seed, Progress: b.progress("renewals", b.n)})
	if err != nil {
		return err
	}
	return errors.Join(b.report(renewals{
		Bench: "renewal", Case: fmt.Sprintf("seed %d", b.seed), Renewals: r.Renewals, RequestsLost: r.RequestsLost, RepliesLost: r.RepliesLost,
		FalseLockouts: r.FalseLockouts, Clones: r.Clones, ClonesCaught: r.ClonesCaught, Sleeps: r.Sleeps, Recovered: r.Recovered, AsleepDays: r.AsleepDays,
		Approvals: r.Approvals, WrongClocks: r.WrongClocks, Restarts: r.Restarts, Days: r.Days, Seconds: r.Elapsed.Seconds(),
	}), r.Law())
}

// progress says on standard error how far a long run is.
func (b *bench) progress(what string, of int) func(done int) {
	return func(done int) { fmt.Fprintf(b.say, "%d of %d %s\n", done, of, what) }
}

// revoked is how long what was revoked still lived.
type revoked struct {
	Bench string  `json:"bench"`
	Case  string  `json:"case"`
	N     int     `json:"n"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// revoke measures the time from an administrator's command to the refusal, at a station that is on the line.
func (b *bench) revoke(ctx context.Context) error {
	r, err := revoke.Run(ctx, revoke.Options{Tries: b.n, Progress: func(done int) {
		if done%50 == 0 {
			fmt.Fprintf(b.say, "%d tries\n", done)
		}
	}})
	if err != nil {
		return err
	}
	for _, c := range r.Cases {
		err := b.report(revoked{Bench: "revoke", Case: c.Name, N: c.N, P50: milliseconds(c.P50), P99: milliseconds(c.P99), Max: milliseconds(c.Max)})
		if err != nil {
			return err
		}
	}
	return r.Law()
}
