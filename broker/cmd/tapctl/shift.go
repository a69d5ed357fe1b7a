package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	taplinev1 "tapline/proto/tapline/v1"
)

func shiftCommands(o *options) *cobra.Command {
	return noun("shift", "Shifts: put, list, delete", `A shift says when the people who have it work: windows of each week in the
local time of the plant. People without a shift work at any time.`,
		shiftPut(o), shiftList(o), shiftDelete(o))
}

func shiftPut(o *options) *cobra.Command {
	s := &taplinev1.Shift{}
	var windows []string
	c := &cobra.Command{
		Use: "put ID", Short: "Make a shift, or replace its settings", Args: cobra.ExactArgs(1),
		Long: `Makes a shift, or replaces all of its settings. A window is DAYS/BEGIN-END in local
time; one whose end is not after its begin ends on the next day, and belongs to
the day on which it begins. When clocks are put forward or back nobody loses a
minute by it.`,
		Example: `  tapctl shift put early --zone Europe/Berlin --window mon-fri/06:00-14:00
  tapctl shift put night --zone Europe/Berlin --window sun-thu/22:00-06:00 --name "Nights"
  tapctl shift put revision --zone UTC --window mon-sun/00:00-24:00 --first 2026-12-21 --last 2026-12-31`,
		RunE: func(c *cobra.Command, args []string) error {
			s.Id = args[0]
			for _, text := range windows {
				w, err := readWindow(text)
				if err != nil {
					return err
				}
				s.Windows = append(s.Windows, w)
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.PutShift(ctx, &taplinev1.PutShiftRequest{Shift: s})
				if err != nil {
					return err
				}
				return show(c, o, r.GetShift(), "shift %s: %s", r.GetShift().GetId(), windowsText(r.GetShift()))
			})
		},
	}
	f := c.Flags()
	f.StringVar(&s.Name, "name", "", "what people call it")
	f.StringVar(&s.TimeZone, "zone", "UTC", "time zone of the windows, such as Europe/Berlin")
	f.StringArrayVar(&windows, "window", nil, "DAYS/BEGIN-END, such as mon-fri/06:00-14:00; may be given more than once")
	f.StringVar(&s.FirstDay, "first", "", "first day on which it applies, such as 2026-11-25")
	f.StringVar(&s.LastDay, "last", "", "last day on which it applies")
	must(c.MarkFlagRequired("window"))
	return c
}

// dayNames are the days as people type them, Monday first.
func dayNames() []string { return []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"} }

// readWindow reads DAYS/BEGIN-END.
func readWindow(text string) (*taplinev1.ShiftWindow, error) {
	bad := func() (*taplinev1.ShiftWindow, error) {
		return nil, usage("--window %q: want DAYS/BEGIN-END, such as mon-fri/06:00-14:00 or sat,sun/22:00-06:00", text)
	}
	days, hours, ok := strings.Cut(text, "/")
	from, to, ok2 := strings.Cut(hours, "-")
	if !ok || !ok2 {
		return bad()
	}
	w := &taplinev1.ShiftWindow{}
	for _, part := range strings.Split(strings.ToLower(days), ",") {
		first, last, span := strings.Cut(part, "-")
		i, j := slices.Index(dayNames(), first), slices.Index(dayNames(), last)
		if !span {
			j = i
		}
		if i < 0 || j < 0 {
			return bad()
		}
		for ; ; i = (i + 1) % 7 { // "sat-mon" goes over the end of the week
			w.Days = append(w.Days, uint32(i+1))
			if i == j {
				break
			}
		}
	}
	begin, ok := readClock(from)
	end, ok2 := readClock(to)
	if !ok || !ok2 || begin == 24*60 {
		return bad()
	}
	if end == 0 {
		end = 24 * 60
	}
	w.Begin, w.End = begin, end
	return w, nil
}

// readClock reads hh:mm up to 24:00 as minutes.
func readClock(text string) (uint32, bool) {
	h, m, ok := strings.Cut(text, ":")
	hours, err1 := strconv.ParseUint(h, 10, 8)
	minutes, err2 := strconv.ParseUint(m, 10, 8)
	total := hours*60 + minutes
	return uint32(total), ok && err1 == nil && err2 == nil && len(m) == 2 && minutes < 60 && total <= 24*60
}

func windowsText(s *taplinev1.Shift) string {
	var all []string
	for _, w := range s.GetWindows() {
		var days []string
		for _, d := range w.GetDays() {
			days = append(days, dayNames()[(d+6)%7])
		}
		all = append(all, fmt.Sprintf("%s/%02d:%02d-%02d:%02d", strings.Join(days, ","), w.GetBegin()/60, w.GetBegin()%60, w.GetEnd()/60, w.GetEnd()%60))
	}
	return strings.Join(all, " ") + " " + s.GetTimeZone()
}

func shiftList(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List shifts", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				all, err := pages(func(token string) ([]*taplinev1.Shift, string, error) {
					r, err := b.admin.ListShifts(ctx, &taplinev1.ListShiftsRequest{PageSize: pageSize, PageToken: token})
					return r.GetShifts(), r.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				return list(c, o, all,
					column[*taplinev1.Shift]{"ID", (*taplinev1.Shift).GetId},
					column[*taplinev1.Shift]{"NAME", (*taplinev1.Shift).GetName},
					column[*taplinev1.Shift]{"WINDOWS", windowsText},
					column[*taplinev1.Shift]{"FIRST DAY", (*taplinev1.Shift).GetFirstDay},
					column[*taplinev1.Shift]{"LAST DAY", (*taplinev1.Shift).GetLastDay})
			})
		},
	}
}

func shiftDelete(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "Delete a shift that nobody has", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.DeleteShift(ctx, &taplinev1.DeleteShiftRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return show(c, o, r, "shift %s deleted", args[0])
			})
		},
	}
}
