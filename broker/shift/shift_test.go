package shift_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapline/broker/shift"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// weekdays is Monday to Friday.
func weekdays() []uint32 { return []uint32{1, 2, 3, 4, 5} }

func window(begin, end uint32, days ...uint32) *taplinev1.ShiftWindow {
	return &taplinev1.ShiftWindow{Days: days, Begin: begin, End: end}
}

func parse(t testing.TB, zone string, windows ...*taplinev1.ShiftWindow) shift.Shift {
	t.Helper()
	s, err := shift.Parse(&taplinev1.Shift{Id: "s", TimeZone: zone, Windows: windows})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// at reads a time with its offset; empty is no time.
func at(t testing.TB, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	if !strings.Contains(text[17:], "30") {
		text += "00"
	}
	when, err := time.Parse("2006-01-02 15:04 -0700", text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func TestWhoIsWithinAShift(t *testing.T) {
	const h = 60
	early := func() shift.Shift { return parse(t, "Europe/Berlin", window(6*h, 14*h, weekdays()...)) }
	night := func() shift.Shift { return parse(t, "Europe/Berlin", window(22*h, 6*h, weekdays()...)) }
	for says, row := range map[string]struct {
		shift     shift.Shift
		at, until string
		in        bool
	}{
		"in the middle of it":                      {early(), "2026-11-25 10:00 +01", "2026-11-25 14:00 +01", true},
		"at its very begin":                        {early(), "2026-11-25 06:00 +01", "2026-11-25 14:00 +01", true},
		"at its very end it is over":               {early(), "2026-11-25 14:00 +01", "2026-11-26 06:00 +01", false},
		"on Friday evening it begins on Monday":    {early(), "2026-11-27 15:00 +01", "2026-11-30 06:00 +01", false},
		"before midnight":                          {night(), "2026-11-25 23:00 +01", "2026-11-26 06:00 +01", true},
		"after midnight it is yesterday's":         {night(), "2026-11-26 05:59 +01", "2026-11-26 06:00 +01", true},
		"Friday's night goes on into Saturday":     {night(), "2026-11-28 03:00 +01", "2026-11-28 06:00 +01", true},
		"Monday morning belongs to no night":       {night(), "2026-11-30 03:00 +01", "2026-11-30 22:00 +01", false},
		"asked in another zone's time":             {early(), "2026-11-24 23:30 -05", "2026-11-25 06:00 +01", false},
		"windows that touch are one":               {parse(t, "UTC", window(6*h, 14*h, 3), window(14*h, 22*h, 3)), "2026-11-25 07:00 +00", "2026-11-25 22:00 +00", true},
		"windows that overlap are one":             {parse(t, "UTC", window(6*h, 15*h, 3), window(14*h, 22*h, 3)), "2026-11-25 14:30 +00", "2026-11-25 22:00 +00", true},
		"a whole day ends where the next begins":   {parse(t, "UTC", window(0, 24*h, 1, 2)), "2026-11-23 12:00 +00", "2026-11-25 00:00 +00", true},
		"equal begin and end are a whole day":      {parse(t, "UTC", window(6*h, 6*h, 1)), "2026-11-24 05:00 +00", "2026-11-24 06:00 +00", true},
		"round the clock nothing changes":          {parse(t, "UTC", window(0, 24*h, 1, 2, 3, 4, 5, 6, 7)), "2026-11-25 12:00 +00", "", true},
		"the night in which clocks go forward":     {parse(t, "Europe/Berlin", window(22*h, 6*h, 6)), "2026-03-28 23:00 +01", "2026-03-29 06:00 +02", true},
		"the night in which clocks go back":        {parse(t, "Europe/Berlin", window(22*h, 6*h, 6)), "2026-10-24 23:00 +02", "2026-10-25 06:00 +01", true},
		"a begin that is jumped over is the jump":  {parse(t, "Europe/Berlin", window(2*h+30, 6*h, 7)), "2026-03-29 03:00 +02", "2026-03-29 06:00 +02", true},
		"and not before the jump":                  {parse(t, "Europe/Berlin", window(2*h+30, 6*h, 7)), "2026-03-29 01:59 +01", "2026-03-29 03:00 +02", false},
		"an end that is jumped over is the jump":   {parse(t, "Europe/Berlin", window(0, 2*h+30, 7)), "2026-03-29 01:00 +01", "2026-03-29 03:00 +02", true},
		"of an hour that comes twice the end late": {parse(t, "Europe/Berlin", window(0, 2*h+30, 7)), "2026-10-25 01:00 +02", "2026-10-25 02:30 +01", true},
		"and the begin early":                      {parse(t, "Europe/Berlin", window(2*h+30, 6*h, 7)), "2026-10-25 02:40 +02", "2026-10-25 06:00 +01", true},
		"half an hour of summer time":              {parse(t, "Australia/Lord_Howe", window(0, 2*h+15, 7)), "2026-10-04 01:00 +1030", "2026-10-04 02:30 +11", true},
	} {
		t.Run(says, func(t *testing.T) {
			in, until := row.shift.Covers(at(t, row.at))
			if in != row.in || !until.Equal(at(t, row.until)) {
				t.Errorf("at %s: %t until %s, want %t until %s", row.at, in, until, row.in, row.until)
			}
		})
	}
}

func TestAShiftHasItsDays(t *testing.T) {
	m := &taplinev1.Shift{Id: "s", TimeZone: "Europe/Berlin", Windows: []*taplinev1.ShiftWindow{window(22*60, 6*60, 1, 2, 3, 4, 5, 6, 7)}, FirstDay: "2026-11-25", LastDay: "2026-11-26"}
	s, err := shift.Parse(m)
	if err != nil {
		t.Fatal(err)
	}
	for when, want := range map[string]bool{
		"2026-11-25 03:00 +01": false, "2026-11-25 23:00 +01": true, "2026-11-27 05:00 +01": true, "2026-11-27 23:00 +01": false, "2027-05-01 23:00 +02": false,
	} {
		if in, _ := s.Covers(at(t, when)); in != want {
			t.Errorf("%s: %t", when, in)
		}
	}
	if _, until := s.Covers(at(t, "2026-10-01 12:00 +02")); !until.Equal(at(t, "2026-11-25 22:00 +01")) {
		t.Errorf("weeks before its first day it begins %s", until)
	}
	if in, until := s.Covers(at(t, "2026-11-28 12:00 +01")); in || !until.IsZero() {
		t.Errorf("after its last day it goes on: %t, %s", in, until)
	}
}

func TestAPlanJoinsThePersonsShifts(t *testing.T) {
	p := shift.Plan{"early": parse(t, "UTC", window(360, 840, 3)), "late": parse(t, "UTC", window(840, 1320, 3))}
	for says, row := range map[string]struct {
		ids       []string
		at, until string
		in        bool
	}{
		"no shifts are always":             {nil, "2026-11-25 03:00 +00", "", true},
		"one after the other":              {[]string{"late", "early"}, "2026-11-25 07:00 +00", "2026-11-25 22:00 +00", true},
		"the earliest begin":               {[]string{"late", "early"}, "2026-11-25 03:00 +00", "2026-11-25 06:00 +00", false},
		"one that is not there is nothing": {[]string{"gone"}, "2026-11-25 07:00 +00", "", false},
	} {
		if in, until := p.Covers(row.ids, at(t, row.at)); in != row.in || !until.Equal(at(t, row.until)) {
			t.Errorf("%s: %t until %s, want %t until %s", says, in, until, row.in, row.until)
		}
	}
}

func TestWrongShiftsNameTheField(t *testing.T) {
	good := func() *taplinev1.Shift {
		return &taplinev1.Shift{Id: "s", TimeZone: "UTC", Windows: []*taplinev1.ShiftWindow{window(0, 60, 1)}}
	}
	for field, spoil := range map[string]func(*taplinev1.Shift){
		"time_zone": func(s *taplinev1.Shift) { s.TimeZone = "Mars/Olympus" },
		"name one":  func(s *taplinev1.Shift) { s.TimeZone = "Local" },
		"windows":   func(s *taplinev1.Shift) { s.Windows = nil },
		"entry 0: begin": func(s *taplinev1.Shift) {
			s.Windows[0].Begin = 1440
		},
		"day 8":     func(s *taplinev1.Shift) { s.Windows[0].Days = []uint32{8} },
		"first_day": func(s *taplinev1.Shift) { s.FirstDay = "25.11.2026" },
		"last_day":  func(s *taplinev1.Shift) { s.FirstDay, s.LastDay = "2026-11-25", "2026-11-24" },
	} {
		s := good()
		spoil(s)
		if _, err := shift.Parse(s); wire.KindOf(err) != wire.Invalid || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// The law: what Covers says of a moment it says of every moment until the one it names, and the contrary there.
func TestNothingChangesUntilTheTimeThatIsNamed(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Santiago", "Africa/Casablanca"}
	rapid.Check(t, func(r *rapid.T) {
		m := &taplinev1.Shift{Id: "s", TimeZone: rapid.SampledFrom(zones).Draw(r, "zone")}
		for range rapid.IntRange(1, 4).Draw(r, "windows") {
			m.Windows = append(m.Windows, window(rapid.Uint32Range(0, 1439).Draw(r, "begin"), rapid.Uint32Range(1, 1440).Draw(r, "end"),
				rapid.SliceOfN(rapid.Uint32Range(1, 7), 1, 7).Draw(r, "days")...))
		}
		s, err := shift.Parse(m)
		if err != nil {
			r.Fatal(err)
		}
		when := time.Unix(rapid.Int64Range(1767225600, 1798761600).Draw(r, "at"), 0)
		in, until := s.Covers(when)
		if until.IsZero() {
			until = when.AddDate(0, 0, 10) // nothing changes within a year
		} else if after, _ := s.Covers(until); !until.After(when) || after == in {
			r.Fatalf("at %s: %t until %s, and there %t", when, in, until, after)
		}
		between := when.Add(time.Duration(rapid.Float64Range(0, 1).Draw(r, "between") * float64(until.Sub(when)-1)))
		if now, _ := s.Covers(between); now != in {
			r.Fatalf("at %s: %t until %s, but %t at %s", when, in, until, now, between)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("Europe/Berlin", "2026-01-01", "", uint32(1), uint32(360), uint32(840), int64(1764072000))
	f.Add("../../etc/passwd", "0000-00-00", "9999-12-31", uint32(7), uint32(0), uint32(1440), int64(-1))
	f.Fuzz(func(t *testing.T, zone, first, last string, day, begin, end uint32, unix int64) {
		s, err := shift.Parse(&taplinev1.Shift{TimeZone: zone, FirstDay: first, LastDay: last, Windows: []*taplinev1.ShiftWindow{window(begin, end, day)}})
		if err != nil {
			if wire.KindOf(err) != wire.Invalid {
				t.Errorf("the kind of %v", err)
			}
			return
		}
		when := time.Unix(unix%(1<<36), 0)
		if _, until := s.Covers(when); !until.IsZero() && !until.After(when) {
			t.Errorf("changes at %s, which is not after %s", until, when)
		}
	})
}
