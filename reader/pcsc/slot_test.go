package pcsc

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapline/reader"
)

const (
	empty     = 0x10
	inUse     = 0x100
	exclusive = 0x80
)

// state is a reader state with its event counter.
func state(counter uint16, flags uint32) uint32 { return uint32(counter)<<16 | flags | flagChanged }

func TestReportsAreDiffedByTheEventCounter(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		before   uint32
		tapped   bool // the card there was told as a tap
		after    uint32
		want     []change
	}{
		{"a card is laid down", state(4, empty), false, state(5, flagPresent), []change{arrived}},
		{"a mute card is laid down", state(4, empty), false, state(5, flagPresent|flagMute), []change{mute}},
		{"a tapped card leaves", state(5, flagPresent), true, state(6, empty), []change{left}},
		{"a card that was no tap leaves", state(5, flagPresent), false, state(6, empty), nil},
		{"another program connects", state(5, flagPresent), true, state(5, flagPresent|inUse), nil},
		{"another program locks the card", state(5, flagPresent|inUse), true, state(5, flagPresent|exclusive), nil},
		{"a card came and went between two looks", state(4, empty), false, state(6, empty), []change{missed}},
		{"the counter wraps while a card comes and goes", state(0xFFFF, empty), false, state(1, empty), []change{missed}},
		{"the counter wraps as a card is laid down", state(0xFFFF, empty), false, state(0, flagPresent), []change{arrived}},
		{"one card takes the place of another", state(5, flagPresent), true, state(7, flagPresent), []change{left, arrived}},
		{"the same, and then that one left too", state(5, flagPresent), true, state(8, empty), []change{left, missed}},
		{"a card bounced and stayed", state(4, empty), false, state(7, flagPresent), []change{arrived}},
		{"nothing happened", state(4, empty), false, state(4, empty), nil},
		{"the reader is pulled", state(4, empty), false, flagUnknown | flagUnavailable | flagChanged, []change{broken}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			s := slot{settled: true, known: true, state: tt.before, tapped: tt.tapped}
			if diff := cmp.Diff(tt.want, s.report(tt.after)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsSeenWhileAReaderSettlesIsNoTap(t *testing.T) {
	start := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	s := slot{since: start}
	if got := s.feedback(); got != 0 {
		t.Errorf("a new reader is asked with state %#x, want 0 (unaware)", got)
	}
	for _, seen := range []uint32{state(0, empty), state(1, flagPresent)} {
		if got := s.report(seen); got != nil {
			t.Errorf("report while settling: %v", got)
		}
	}
	if got := s.settle(start.Add(400*time.Millisecond), 500*time.Millisecond); got != nil {
		t.Errorf("attached too soon: %v", got)
	}
	if diff := cmp.Diff([]change{attached}, s.settle(start.Add(500*time.Millisecond), 500*time.Millisecond)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if got := s.report(state(2, empty)); got != nil {
		t.Errorf("the leaving of a card that lay there is told: %v", got)
	}
}

func TestACounterOfZeroIsLookedAtAgain(t *testing.T) {
	s := slot{settled: true, known: true, state: state(0, empty)}
	s.quiet()
	if got := s.feedback(); got != 0 {
		t.Errorf("asked with state %#x, want 0 (unaware)", got)
	}
	if diff := cmp.Diff([]change{missed}, s.report(state(2, empty))); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	s.quiet()
	if got, want := s.feedback(), state(2, empty)&^flagChanged; got != want {
		t.Errorf("asked with state %#x, want %#x", got, want)
	}
}

func TestPatternsSelectReaders(t *testing.T) {
	all := []string{"ACS ACR1252 [ACR1252 Reader] (1-0000) 00 00", "ACS ACR1252 [SAM] (1-0000) 01 00", "Windows Hello for Business 1"}
	for _, tt := range []struct {
		sentence string
		cfg      Config
		want     []reader.Name
	}{
		{"no pattern uses all", Config{}, []reader.Name{reader.Name(all[0]), reader.Name(all[1]), reader.Name(all[2])}},
		{"brackets are only brackets", Config{Include: []string{"*[sam]*"}}, []reader.Name{reader.Name(all[1])}},
		{"exclude wins", Config{Include: []string{"ACS*"}, Exclude: []string{"*SAM*"}}, []reader.Name{reader.Name(all[0])}},
		{"a question mark is one character", Config{Include: []string{"Windows Hello for Business ?"}}, []reader.Name{reader.Name(all[2])}},
		{"a pattern covers the whole name", Config{Include: []string{"ACS"}}, nil},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, newSelection(tt.cfg).of(all)); diff != "" {
				t.Errorf("used (-want +got):\n%s", diff)
			}
		})
	}
}
