package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"
)

// The screen of a technician's terminal, and how many troubles fit on it.
const (
	screenWide   = 80
	labelWide    = 10
	keepTroubles = 3
)

// screen collects lines of at most screenWide characters; the first error that its writer gives stays.
type screen struct {
	out io.Writer
	err error
}

// line writes what has a label, over as many lines as it needs, broken between words.
func (s *screen) line(label, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for {
		here, rest := wrap(text, screenWide-labelWide)
		if s.err == nil {
			_, s.err = fmt.Fprintf(s.out, "%-*s%s\n", labelWide, label, here)
		}
		if rest == "" {
			return
		}
		label, text = "", rest
	}
}

// wrap cuts text between two words so that the first part has at most wide characters, if it can.
func wrap(text string, wide int) (here, rest string) {
	all := []rune(text)
	if len(all) <= wide {
		return text, ""
	}
	at := wide
	for at > 0 && all[at] != ' ' {
		at--
	}
	for at == 0 || at < len(all) && all[at] != ' ' { // one word is longer than the line
		if at++; at >= len(all) {
			return text, ""
		}
	}
	return string(all[:at]), strings.TrimLeft(string(all[at:]), " ")
}

func printStatus(out io.Writer, st *taplinev1.GetStatusResponse, now time.Time) error {
	s := &screen{out: out}
	s.line("station", "%s (tapagent %s, up %s)", st.GetStation(), st.GetBuild(), ago(st.GetStartedAt(), now))
	s.findings(st)
	s.line("here", "%s", whoText(st.GetPresence(), now))
	s.line("mode", "%s", modeText(st))
	for _, r := range st.GetReaders() {
		s.line("reader", "%s", readerText(r, now))
	}
	if len(st.GetReaders()) == 0 {
		s.line("reader", "NONE")
	}
	if st.GetLimited() {
		s.line("", "(this is the outline; root and the agent's own account see more)")
		return s.err
	}
	s.line("broker", "%s", brokerText(st.GetBroker(), now))
	s.line("grants", "%s", bundleText(st.GetBundle(), st.GetBundleBadges(), now))
	s.line("journal", "%s", journalText(st.GetJournal()))
	if st.GetToday() != nil {
		s.line("today", "%s", todayText(st.GetToday()))
	}
	clock := st.GetClockState()
	if e := st.GetClockError().AsDuration(); e > 0 {
		clock += fmt.Sprintf(" (true time within %s)", e.Round(time.Millisecond))
	}
	s.line("clock", "%s", clock)
	s.line("keys", "%s; certificate number %d, %s left", st.GetKeyStore(), st.GetJoinSequence(), span(st.GetCertificateExpiresAt().AsTime().Sub(now)))
	if t := st.GetTaps(); t.GetCount() > 0 {
		s.line("taps", "the last %d: half within %s, all but 1 %% within %s", t.GetCount(), ms(t.GetP50().AsDuration()), ms(t.GetP99().AsDuration()))
	}
	if st.GetPage() != "" {
		s.line("page", "http://%s/", st.GetPage())
	}
	s.troubles(st, now)
	return s.err
}

// findings are what is to be done, most urgent first.
func (s *screen) findings(st *taplinev1.GetStatusResponse) {
	if len(st.GetFindings()) == 0 {
		if !st.GetLimited() {
			s.line("health", "all is well")
		}
		return
	}
	for _, f := range st.GetFindings() {
		word := "WARNING"
		if f.GetSeverity() == taplinev1.Severity_SEVERITY_FAULT {
			word = "FAULT"
		}
		s.line(word, "%s", f.GetWhat())
		if f.GetHint() != "" {
			s.line("  do", "%s", f.GetHint())
		}
	}
}

// troubles are the last of the log, each on one line.
func (s *screen) troubles(st *taplinev1.GetStatusResponse, now time.Time) {
	for i, t := range st.GetTroubles() {
		if i == keepTroubles {
			s.line("", "and %d more: tapagent status -o json", len(st.GetTroubles())-i)
			return
		}
		text := fmt.Sprintf("%s ago, %s: %s", ago(t.GetAt(), now), t.GetPart(), t.GetWhat())
		if t.GetCount() > 1 {
			text = fmt.Sprintf("%d times, last %s", t.GetCount(), text)
		}
		if cut := []rune(text); len(cut) > screenWide-labelWide {
			text = string(cut[:screenWide-labelWide-3]) + "..."
		}
		s.line("trouble", "%s", text)
	}
}

func modeText(st *taplinev1.GetStatusResponse) string {
	word := func(m taplinev1.Mode) string { return strings.ToLower(strings.TrimPrefix(m.String(), "MODE_")) }
	m := st.GetMode()
	switch {
	case m == nil:
		return word(st.GetPresence().GetMode())
	case m.GetWanted() != m.GetInForce():
		return fmt.Sprintf("%s, WANTED: %s (%s)", word(m.GetInForce()), word(m.GetWanted()), m.GetReason())
	}
	return word(m.GetInForce())
}

// span is a time to come in the words of a status screen.
func span(d time.Duration) string {
	switch {
	case d <= 0:
		return "nothing"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// size is a number of bytes in the words of a status screen.
func size(n int64) string {
	switch {
	case n < 0:
		return "unknown"
	case n < 10<<20:
		return fmt.Sprintf("%d kB", n>>10)
	case n < 10<<30:
		return fmt.Sprintf("%d MB", n>>20)
	default:
		return fmt.Sprintf("%d GB", n>>30)
	}
}
