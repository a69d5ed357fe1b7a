package shift

import (
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/wire"
)

// maxWindows bounds what one shift may hold: a window a day would be seven.
const maxWindows = 64

// Parse checks the hours of an entry; ID and name are for the directory to check. Errors name the field and have the kind Invalid.
func Parse(m *taplinev1.Shift) (Shift, error) {
	s := Shift{ID: m.GetId(), Name: m.GetName()}
	var err error
	if m.GetTimeZone() == "" || m.GetTimeZone() == "Local" { // the machine's own zone would differ between brokers
		return s, wire.E(wire.Invalid, "shift.time_zone: name one, such as Europe/Berlin or UTC")
	}
	if s.Zone, err = time.LoadLocation(m.GetTimeZone()); err != nil {
		return s, wire.E(wire.Invalid, "shift.time_zone: %.64q is not known; a name such as Europe/Berlin is wanted", m.GetTimeZone())
	}
	if s.First, err = date("shift.first_day", m.GetFirstDay()); err != nil {
		return s, err
	}
	if s.Last, err = date("shift.last_day", m.GetLastDay()); err != nil {
		return s, err
	}
	if !s.Last.IsZero() && s.Last.Before(s.First) {
		return s, wire.E(wire.Invalid, "shift.last_day: before the first day")
	}
	if n := len(m.GetWindows()); n == 0 || n > maxWindows {
		return s, wire.E(wire.Invalid, "shift.windows: 1 to %d, there are %d", maxWindows, n)
	}
	for i, w := range m.GetWindows() {
		if w.GetBegin() >= day || w.GetEnd() < 1 || w.GetEnd() > day {
			return s, wire.E(wire.Invalid, "shift.windows: entry %d: begin is 0 to 1439 and end 1 to 1440, in minutes since midnight", i)
		}
		if n := len(w.GetDays()); n == 0 || n > 7 {
			return s, wire.E(wire.Invalid, "shift.windows: entry %d: 1 to 7 days, there are %d", i, n)
		}
		for _, d := range w.GetDays() {
			if d < 1 || d > 7 {
				return s, wire.E(wire.Invalid, "shift.windows: entry %d: day %d is none of 1 (Monday) to 7 (Sunday)", i, d)
			}
			s.Windows = append(s.Windows, Window{Day: time.Weekday(d % 7), Begin: int(w.GetBegin()), End: int(w.GetEnd())})
		}
	}
	return s, nil
}

func date(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 1970 || t.Year() > 9000 {
		return time.Time{}, wire.E(wire.Invalid, "%s: %.32q is no day such as 2026-11-25", field, text)
	}
	return t, nil
}
