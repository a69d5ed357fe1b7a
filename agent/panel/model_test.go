package panel

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	taplinev1 "tapline/proto/tapline/v1"
)

// screen is a model with a clock that is turned by hand.
type screen struct {
	t   *testing.T
	m   model
	now time.Time
	en  *tongue
}

func newScreen(t *testing.T) *screen {
	s := &screen{t: t, m: model{presence: &taplinev1.Presence{}}, now: time.Date(2026, 11, 25, 14, 3, 0, 0, time.Local), en: load(t).list[0]}
	s.nobody()
	return s
}

func (s *screen) change(p *taplinev1.Presence, n *taplinev1.Notice) {
	s.m.apply(&taplinev1.WatchPresenceResponse{Presence: p, Notice: n}, s.now)
}

func (s *screen) nobody() {
	s.change(&taplinev1.Presence{State: taplinev1.PresenceState_PRESENCE_STATE_IDLE}, nil)
}

func (s *screen) here(id string) {
	s.change(&taplinev1.Presence{
		State: taplinev1.PresenceState_PRESENCE_STATE_NAMED, Session: "s-" + id, Person: person(id, id, ""), Since: timestamppb.New(s.now),
	}, nil)
}

func (s *screen) tell(k taplinev1.NoticeKind, lasting time.Duration) {
	n := &taplinev1.Notice{Kind: k, Session: "tap"}
	if lasting > 0 {
		n.Lasts = lasts(lasting)
	}
	s.change(s.m.presence, n)
}

func (s *screen) after(d time.Duration) *screen {
	s.now = s.now.Add(d)
	s.m.pass(s.now)
	return s
}

func (s *screen) shows(want kind) {
	s.t.Helper()
	if got := s.m.view(s.en, s.now).Kind; got != want {
		s.t.Errorf("shows %s, want %s", got, want)
	}
}

func TestWhatAScreenShowsWhen(t *testing.T) {
	const (
		refused  = taplinev1.NoticeKind_NOTICE_KIND_REFUSED
		deciding = taplinev1.NoticeKind_NOTICE_KIND_DECIDING
		pin      = taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED
		ask      = taplinev1.NoticeKind_NOTICE_KIND_ALREADY_HERE
		idle     = taplinev1.NoticeKind_NOTICE_KIND_IDLE_WARNING
	)
	for _, row := range []struct {
		name string
		do   func(*screen)
		want kind
	}{
		{"nobody has come", func(*screen) {}, kindIdle},
		{"a badge was read", func(s *screen) { s.tell(deciding, 0) }, kindDeciding},
		{"a decision that never comes is not waited for for ever", func(s *screen) { s.tell(deciding, 0); s.after(decidingLasts) }, kindIdle},
		{"somebody comes", func(s *screen) { s.tell(deciding, 0); s.here("anna") }, kindNamed},
		{"somebody takes over", func(s *screen) { s.here("anna"); s.here("ben") }, kindHandOver},
		{"the hand-over is told only for a moment", func(s *screen) { s.here("anna"); s.here("ben"); s.after(handOverLasts) }, kindNamed},
		{"the same person again is no hand-over", func(s *screen) { s.here("anna"); s.nobody(); s.here("anna") }, kindNamed},
		{"a stranger while somebody is here", func(s *screen) { s.here("anna"); s.tell(refused, 5*time.Second) }, kindRefused},
		{"a refusal is read to its end though the session is shown again", func(s *screen) { s.here("anna"); s.tell(refused, 0); s.here("anna") }, kindRefused},
		{"then whoever is here is shown", func(s *screen) { s.here("anna"); s.tell(refused, 0); s.after(noticeLasts) }, kindNamed},
		{"a lock of an hour does not keep the screen from the next person", func(s *screen) { s.tell(refused, time.Hour); s.after(noticeLongest) }, kindIdle},
		{"the next person's success ends a refusal", func(s *screen) { s.tell(refused, time.Hour); s.here("anna") }, kindNamed},
		{"a PIN waits through changes that are not its own", func(s *screen) { s.tell(pin, 45*time.Second); s.nobody() }, kindPIN},
		{"a PIN waits no longer than the tap", func(s *screen) { s.tell(pin, 45*time.Second); s.after(45 * time.Second) }, kindIdle},
		{"a tap that was called off says nothing", func(s *screen) {
			s.tell(pin, time.Minute)
			s.change(s.m.presence, &taplinev1.Notice{Kind: refused, Refusal: taplinev1.RefusalCause_REFUSAL_CAUSE_CALLED_OFF})
		}, kindIdle},
		{"a question that was not answered", func(s *screen) { s.here("anna"); s.tell(ask, 10*time.Second); s.here("anna") }, kindNamed},
		{"a warning that somebody heard", func(s *screen) { s.here("anna"); s.tell(idle, time.Minute); s.here("anna") }, kindNamed},
		{"readers and brokers are no notices of the page", func(s *screen) { s.tell(taplinev1.NoticeKind_NOTICE_KIND_BROKER, 0) }, kindIdle},
		{"no reader works", func(s *screen) { s.m.status = &taplinev1.GetStatusResponse{} }, kindReaderAway},
		{"somebody is here though the reader has gone", func(s *screen) { s.here("anna"); s.m.status = &taplinev1.GetStatusResponse{} }, kindNamed},
		{"an emergency comes before everything that lasts", func(s *screen) {
			s.here("anna")
			s.change(&taplinev1.Presence{State: taplinev1.PresenceState_PRESENCE_STATE_EMERGENCY, Emergency: alarm(2)}, nil)
		}, kindEmergency},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newScreen(t)
			row.do(s)
			s.shows(row.want)
		})
	}
}
