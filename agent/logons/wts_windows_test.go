package logons

import "testing"

// TestWindowsAnswers asks the Windows that the test runs on, or wine, which lists no sessions and says of each number that it is the caller's own.
func TestWindowsAnswers(t *testing.T) {
	all, err := terminalServices{}.all()
	if err != nil {
		t.Fatal(err)
	}
	if told, err := Sources(t.Context()); (err == nil) != (len(all) > 0) {
		t.Errorf("of %d sessions it is said: %q, %v", len(all), told, err)
	}
	mine, ok := terminalServices{}.one(^uint32(0)) // this program's own
	t.Logf("%d sessions; own: known %t, somebody %t, protocol %d, connected %t, lock %d", len(all), ok, mine.account != "", mine.protocol, mine.connected, mine.lock)
	for _, s := range all {
		t.Logf("session %d: somebody %t, protocol %d, connected %t, lock %d, autologon %d", s.number, s.account != "", s.protocol, s.connected, s.lock, s.autologon)
		if s.number == 0 && s.account != "" {
			t.Error("somebody is logged on to the services' session")
		}
	}
}
