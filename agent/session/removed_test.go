package session

import (
	"testing"
	"time"
)

func TestAReaderThatIsTakenOutOfTheConfigurationEndsNobodysSession(t *testing.T) {
	play(t, func(r *scenario) {
		r.terms = Terms{LeaveTheCard: true}
		r.As("anna").Tap("press-4")
		r.at("press-4").feed(Removed{"reader"})
		r.Wait(time.Hour)
		r.Here("press-4", "anna")
	})
}
