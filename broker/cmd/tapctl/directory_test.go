package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

func TestWindowsOfAShiftAreReadAsTheyArePrinted(t *testing.T) {
	for text, want := range map[string]*taplinev1.ShiftWindow{
		"mon-fri/06:00-14:00": {Days: []uint32{1, 2, 3, 4, 5}, Begin: 360, End: 840},
		"sat,sun/22:00-06:00": {Days: []uint32{6, 7}, Begin: 1320, End: 360},
		"Sat-Mon/00:00-24:00": {Days: []uint32{6, 7, 1}, Begin: 0, End: 1440},
		"wed/06:00-00:00":     {Days: []uint32{3}, Begin: 360, End: 1440},
	} {
		w, err := readWindow(text)
		if d := cmp.Diff(want, w, protocmp.Transform()); err != nil || d != "" {
			t.Errorf("%s: %v\n%s", text, err, d)
		}
	}
	for _, text := range []string{"", "mon", "mon/06:00", "mon/06-14", "mond/06:00-14:00", "mon/24:00-06:00", "mon/06:60-14:00", "mon/06:00-25:00", "mon-/06:00-14:00"} {
		if _, err := readWindow(text); osservice.CodeOf(err) != osservice.Usage {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// The law: what is read is printed so that it reads back the same.
func FuzzReadWindow(f *testing.F) {
	f.Add("mon-fri/06:00-14:00")
	f.Add("sat,sun/22:00-06:00")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := readWindow(text)
		if err != nil {
			return
		}
		printed := strings.TrimSuffix(windowsText(&taplinev1.Shift{Windows: []*taplinev1.ShiftWindow{w}}), " ")
		again, err := readWindow(printed)
		if d := cmp.Diff(w, again, protocmp.Transform()); err != nil || d != "" {
			t.Errorf("%q prints as %q: %v\n%s", text, printed, err, d)
		}
	})
}

func TestCertificationsThatLapseArePointedOut(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	all, err := readCertifications([]string{"press", "crane=2026-11-24", "forklift=2026-12-10", "laser=2028-01-01"}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	got := certificationsText(&taplinev1.PersonEntry{Certifications: all}, now)
	if !strings.Contains(got, "press, crane (LAPSED), forklift (until ") || !strings.HasSuffix(got, ", laser") {
		t.Errorf("got %s", got)
	}
	if text := certificationText(all[2], now); !strings.Contains(text, "lapses in 15 days") {
		t.Errorf("got %s", text)
	}
	if _, err := readCertifications([]string{"crane=31.3.2027"}, time.UTC); osservice.CodeOf(err) != osservice.Usage {
		t.Errorf("got %v", err)
	}
}

func TestFilesThatCannotBeImportedSayHowToGoOn(t *testing.T) {
	for name, args := range map[string][]string{
		"a file that is missing":   {"import", "/nonexistent.csv"},
		"a word nobody knows":      {"import", "-", "--source-leavers", "delete"},
		"no file":                  {"import"},
		"a badge in another form":  {"badge", "assign", "p-1", "--number", "h10301:300:1"},
		"a shift without a window": {"shift", "put", "early"},
	} {
		t.Run(name, func(t *testing.T) {
			if code, _, said := run(t, args...); code != osservice.Usage || !strings.Contains(said, "hint: ") {
				t.Errorf("got %s:\n%s", code, said)
			}
		})
	}
}
