package osservice

import "testing"

func TestWhatSystemdSays(t *testing.T) {
	tests := []struct {
		out  string
		want State
	}{
		{"LoadState=loaded\nActiveState=active\n", StateRunning},
		{"LoadState=loaded\nActiveState=reloading\n", StateRunning},
		{"LoadState=loaded\nActiveState=activating\n", StateStarting},
		{"LoadState=loaded\nActiveState=deactivating\n", StateStopping},
		{"LoadState=loaded\nActiveState=inactive\n", StateStopped},
		{"LoadState=loaded\nActiveState=failed\n", StateFailed},
		{"LoadState=masked\nActiveState=inactive\n", StateStopped},
		{"LoadState=not-found\nActiveState=inactive\n", StateNotInstalled},
	}
	for _, test := range tests {
		if got, err := parseShow(test.out); err != nil || got != test.want {
			t.Errorf("%q: %v, %v; want %v", test.out, got, err, test.want)
		}
	}
	if state, err := parseShow("nonsense"); err == nil {
		t.Errorf("nonsense was read as %v", state)
	}
}
