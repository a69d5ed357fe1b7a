//go:build cgo && linux

package pcsc_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"tapline/reader"
	"tapline/reader/pcsc"
	"tapline/reader/readertest"
	"tapline/reader/vcard"
)

func TestCardsThatAreNoBadgeAreToldWithTheReason(t *testing.T) {
	d := serve(t, desk)
	s := readertest.Start(t, source(t, pcsc.Config{}))
	s.Want(reader.Attached, desk)
	for _, tt := range []struct {
		sentence string
		card     vcard.Card
		want     reader.Reason
	}{
		{"a contact card", vcard.Contact(), reader.NoNumber},
		{"a card upside down", vcard.Muted(), reader.Mute},
		{"a phone", vcard.DESFire([]byte{8, 1, 2, 3}), reader.RandomNumber},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			d.Insert(desk, tt.card)
			if e := s.Want(reader.Unreadable, desk); e.Reason != tt.want {
				t.Errorf("reason is %q, want %q", e.Reason, tt.want)
			}
			d.Remove(desk)
			d.Noticed()
		})
	}
}

func TestACardThatAnotherProgramHoldsIsTriedAgain(t *testing.T) {
	d := serve(t, desk)
	s := readertest.Start(t, source(t, pcsc.Config{BusyFor: time.Minute}))
	s.Want(reader.Attached, desk)
	d.Hold(desk, true)
	d.Insert(desk, vcard.DESFire(uid(0)))
	d.Refused() // the source has met the other program
	d.Hold(desk, false)
	s.WantTap(desk, number(0))
}

func TestACardThatStaysHeldIsToldAsBusy(t *testing.T) {
	d := serve(t, desk)
	s := readertest.Start(t, source(t, pcsc.Config{BusyFor: time.Millisecond}))
	s.Want(reader.Attached, desk)
	d.Hold(desk, true)
	d.Insert(desk, vcard.DESFire(uid(0)))
	if e := s.Want(reader.Unreadable, desk); e.Reason != reader.Busy {
		t.Errorf("reason is %q, want %q", e.Reason, reader.Busy)
	}
}

func TestOnlySelectedReadersAreWatched(t *testing.T) {
	d := serve(t, "Gate 00 00", desk)
	s := readertest.Start(t, source(t, pcsc.Config{Exclude: []string{"gate*"}}))
	s.Want(reader.Attached, desk)
	d.Insert("Gate 00 00", vcard.DESFire(uid(1)))
	d.Insert(desk, vcard.DESFire(uid(0)))
	s.WantTap(desk, number(0))
}

func TestASecondReaderMayComeAndGo(t *testing.T) {
	d := serve(t, desk)
	s := readertest.Start(t, source(t, pcsc.Config{}))
	s.Want(reader.Attached, desk)
	for range 3 {
		d.Plug("Gate 00 00")
		s.Want(reader.Attached, "Gate 00 00")
		d.Insert("Gate 00 00", vcard.DESFire(uid(1)))
		s.WantTap("Gate 00 00", number(1))
		d.Unplug("Gate 00 00")
		s.Want(reader.Detached, "Gate 00 00")
		d.Remove("Gate 00 00")
	}
	d.Insert(desk, vcard.DESFire(uid(0)))
	s.WantTap(desk, number(0))
}

func TestAServiceThatIsNotThereIsWaitedFor(t *testing.T) {
	d := serve(t, desk)
	d.Kill()
	s := readertest.Start(t, source(t, pcsc.Config{}))
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	s.Want(reader.Attached, desk)
}

// BenchmarkTap measures from the moment at which the service reports a card to the tap with its number in the consumer's hands.
func BenchmarkTap(b *testing.B) {
	d := serve(b, desk)
	src := source(b, pcsc.Config{})
	taps := make(chan time.Duration, 1)
	attached := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(b.Context())
	var done sync.WaitGroup
	defer done.Wait()
	defer cancel()
	done.Go(func() {
		_ = src.Run(ctx, func(e reader.Event) {
			switch e.Kind {
			case reader.Attached:
				attached <- struct{}{}
			case reader.Tapped:
				taps <- time.Since(e.At)
			}
		})
	})
	<-attached
	var took []time.Duration
	for b.Loop() {
		d.Insert(desk, vcard.DESFire(uid(0)))
		took = append(took, <-taps)
		d.Remove(desk)
		d.Noticed()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
