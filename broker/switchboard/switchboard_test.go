package switchboard_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"tapline/broker/switchboard"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

const (
	press   = record.StationID("plant/press/line-4/hmi-1")
	packing = record.StationID("plant/packing/line-2/hmi-1")
)

func message() *taplinev1.StreamCommandsResponse { return &taplinev1.StreamCommandsResponse{} }

func TestAMessageReachesEveryLineOfItsStation(t *testing.T) {
	var b switchboard.Board
	if b.Tell(press, message()) || b.Connected(press) {
		t.Error("a station that is not there was told")
	}
	_, first, unplugFirst := b.Plug(t.Context(), press)
	_, second, unplugSecond := b.Plug(t.Context(), press)
	_, other, unplugOther := b.Plug(t.Context(), packing)
	defer unplugOther()
	if !b.Tell(press, message()) || len(first.Out) != 1 || len(second.Out) != 1 || len(other.Out) != 0 {
		t.Errorf("the lines hold %d, %d and %d messages", len(first.Out), len(second.Out), len(other.Out))
	}
	unplugFirst()
	if !b.Connected(press) || len(b.Stations()) != 2 {
		t.Error("a station with one line left is gone")
	}
	unplugSecond()
	unplugSecond()
	if b.Connected(press) || b.Tell(press, message()) || !slices.Equal(b.Stations(), []record.StationID{packing}) {
		t.Errorf("after the last line was unplugged: %v", b.Stations())
	}
}

func TestAStationThatTakesNothingIsCutOffAndHoldsUpNobody(t *testing.T) {
	var b switchboard.Board
	ctx, line, unplug := b.Plug(t.Context(), press)
	defer unplug()
	told := 0
	for b.Tell(press, message()) {
		if told++; told > 10_000 {
			t.Fatal("a line has room without end")
		}
	}
	if told == 0 || told != len(line.Out) {
		t.Errorf("%d told, %d wait", told, len(line.Out))
	}
	if ctx.Err() == nil || wire.KindOf(context.Cause(ctx)) != wire.Busy {
		t.Errorf("the line's end is %v", context.Cause(ctx))
	}
}

func TestALineThatWasCutSaysWhy(t *testing.T) {
	var b switchboard.Board
	revoked, stopping := errors.New("revoked"), errors.New("stopping")
	cut, _, unplugCut := b.Plug(t.Context(), press)
	kept, _, unplugKept := b.Plug(t.Context(), packing)
	b.Cut(press, revoked)
	if !errors.Is(context.Cause(cut), revoked) || kept.Err() != nil {
		t.Errorf("cut: %v, the other: %v", context.Cause(cut), kept.Err())
	}
	b.CutAll(stopping)
	if !errors.Is(context.Cause(cut), revoked) || !errors.Is(context.Cause(kept), stopping) {
		t.Errorf("after the cut of all: %v and %v", context.Cause(cut), context.Cause(kept))
	}
	unplugCut()
	unplugKept()
}

func TestManyAtOnce(t *testing.T) {
	var b switchboard.Board
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				_, _, unplug := b.Plug(t.Context(), press)
				b.Tell(press, message())
				b.Cut(press, errors.New("cut"))
				b.Stations()
				unplug()
			}
		})
	}
	all.Wait()
	if b.Connected(press) {
		t.Error("a line is left")
	}
}
